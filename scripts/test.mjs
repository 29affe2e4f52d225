// `npm test [-- FILE…]`: set-up, then lint, types, the laws of import and all tests with coverage; the first failure ends it.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { root, setUp } from './setup.mjs'

const files = process.argv.slice(2)
const started = Date.now()

setUp(['packages', 'redis', 'curl', 'chromium', 'python', 'build'])
const bin = (name, entry) => join(root, 'node_modules', name, entry ?? binOf(name))

step('lint', [bin('@biomejs/biome'), 'check', '.'])
step('laws of import', [
  bin('dependency-cruiser', 'bin/dependency-cruise.mjs'),
  'src',
  '--config',
  '.dependency-cruiser.cjs',
])
const coverage = ['--exclude-after-remap', '--src', 'src', '--include', 'src/**', '--reporter', 'text-summary']
const suites = [bin('c8'), ...coverage, process.execPath, join(root, 'scripts/run-suites.mjs')]
step('tests', files.length > 0 ? [bin('mocha'), ...files] : suites)
process.stdout.write(`\nall green in ${Math.round((Date.now() - started) / 1000)} s\n`)

function step(name, [script, ...args]) {
  process.stdout.write(`\n== ${name}\n`)
  const result = spawnSync(process.execPath, [script, ...args], { stdio: 'inherit', cwd: root })
  if (result.status !== 0) {
    process.stderr.write(`\n${name}: failed\n`)
    process.exit(1)
  }
}

function binOf(name) {
  const { bin: entry } = JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8'))
  return typeof entry === 'string' ? entry : Object.values(entry)[0]
}
