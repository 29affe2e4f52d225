// Copies what the compiler leaves behind (pages, guard scripts, Python helpers, fixtures) beside the compiled modules.
import { cpSync, existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const isAsset = (path) => statSync(path).isDirectory() || (!path.endsWith('.ts') && !path.includes('__pycache__'))

for (const folder of ['src', 'test', 'bench']) {
  if (existsSync(join(root, folder))) {
    cpSync(join(root, folder), join(root, 'dist', folder), { recursive: true, filter: isAsset })
  }
}
