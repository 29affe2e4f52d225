// `npm run coverage`: set-up, then the fast tests with c8, and how much of each room they reach.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import process from 'node:process'
import { root, setUp } from './setup.mjs'

setUp(['packages', 'redis', 'build'])
const options = ['--exclude-after-remap', '--src', 'src', '--include', 'src/**', '--reporter', 'text-summary']
const suites = [process.execPath, join(root, 'scripts/run-suites.mjs'), '--fast']
const { status } = spawnSync(process.execPath, [join(root, 'node_modules/c8/bin/c8.js'), ...options, ...suites], {
  stdio: 'inherit',
  cwd: root,
})
process.exitCode = status ?? 1
