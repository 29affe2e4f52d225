// `npm run bench [-- --json] [-- NAME …]`: set-up, build, then the figures, side by side with what they are measured by.
// `npm run bench:detector` does the same with those of the detector.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import process from 'node:process'
import { root, setUp } from './setup.mjs'

const [first, ...rest] = process.argv.slice(2).filter((arg) => arg !== '--')
const isDetector = first === 'detector'
setUp(['packages', 'redis', ...(isDetector ? ['python'] : []), 'build'])
const args = isDetector ? rest : [first, ...rest].filter((arg) => arg !== undefined)
const main = join(root, isDetector ? 'dist/bench/detector.js' : 'dist/bench/main.js')
const { status } = spawnSync(process.execPath, [main, ...args], { stdio: 'inherit', cwd: root })
process.exitCode = status ?? 1
