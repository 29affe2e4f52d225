// `npm run bench [-- --json] [-- NAME …]`: set-up, build, then the figures, side by side with what they are measured by.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import process from 'node:process'
import { root, setUp } from './setup.mjs'

setUp(['packages', 'redis', 'build'])
const args = process.argv.slice(2).filter((arg) => arg !== '--')
const { status } = spawnSync(process.execPath, [join(root, 'dist/bench/main.js'), ...args], {
  stdio: 'inherit',
  cwd: root,
})
process.exitCode = status ?? 1
