// `npm run test:faults [-- --seed N …]`: set-up, build, then every stage of a training × every fault (test/faults).
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import process from 'node:process'
import { root, setUp } from './setup.mjs'

setUp(['packages', 'redis', 'build'])
const { status } = spawnSync(process.execPath, [join(root, 'dist/test/faults/main.js'), ...process.argv.slice(2)], {
  stdio: 'inherit',
  cwd: root,
})
process.exitCode = status ?? 1
