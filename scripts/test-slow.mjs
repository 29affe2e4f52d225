// `npm run test:slow [-- NAME …]`: set-up, build, then the slow suites one after the other, all of them or those named.
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import process from 'node:process'
import { root, setUp } from './setup.mjs'
import { slowSuites } from './slow-suites.mjs'

const names = process.argv.slice(2)
const unknown = names.filter((name) => !(name in slowSuites))
if (unknown.length > 0) {
  process.stderr.write(`There is no slow suite "${unknown[0]}"; there are ${Object.keys(slowSuites).join(', ')}.\n`)
  process.exit(2)
}

setUp(['packages', 'redis', 'curl', 'chromium', 'python', 'build', 'pythons'])
const mocha = createRequire(import.meta.url).resolve('mocha/bin/mocha.js')
const failed = []
for (const name of names.length > 0 ? names : Object.keys(slowSuites)) {
  const { about, files } = slowSuites[name]
  process.stdout.write(`\n== ${name}: ${about}\n`)
  const started = performance.now()
  const { status } = spawnSync(process.execPath, [mocha, ...pathsOf(files)], {
    stdio: 'inherit',
    cwd: root,
    env: { ...process.env, LOOPFLEET_TEST_THOROUGH: '1' },
  })
  if (status !== 0) failed.push(name)
  process.stdout.write(`${name}: ${status === 0 ? 'passed' : 'failed'} in ${seconds(started)} s\n`)
}
process.stdout.write(failed.length === 0 ? '\nall passed\n' : `\nfailed: ${failed.join(', ')}\n`)
process.exitCode = failed.length === 0 ? 0 : 1

function pathsOf(files) {
  return files.map((file) => join('dist/test', file.replace(/\.ts$/, '.js')))
}

function seconds(since) {
  return Math.round((performance.now() - since) / 1000)
}
