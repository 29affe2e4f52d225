// `npm run demo [-- --json|--keep|…]`: set-up, then `loopfleet demo`.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import process from 'node:process'
import { root, setUp } from './setup.mjs'

setUp(['packages', 'redis', 'python', 'build'])

const demo = spawn(process.execPath, [join(root, 'dist/src/cli/main.js'), 'demo', ...process.argv.slice(2)], {
  stdio: 'inherit',
})
// Ctrl-C reaches the whole foreground group; we only wait for the demo to clean up.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => demo.kill(signal))
demo.on('exit', (code, signal) => process.exit(code ?? (signal === null ? 1 : 130)))
