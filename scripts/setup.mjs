// Set-up for a fresh machine: npm packages, redis-server, the example trainer's Python environment, Chromium, the build.
// Uses Node's own modules only, since nothing else is installed yet. Each part does nothing when it is already there.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath, pathToFileURL } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))
const say = (text) => process.stderr.write(`set-up: ${text}\n`)

/** Makes sure of the named parts, in order; exits with 1 and the exact command to run when one cannot be had. */
export function setUp(parts) {
  for (const part of parts) makers[part]()
}

const makers = {
  packages: installPackages,
  redis: () => ensureProgram(['redis-server'], ['redis-server'], { service: 'redis-server' }),
  curl: () => ensureProgram(['curl'], ['curl', 'ca-certificates']),
  chromium: () => ensureProgram(['chromium', 'chromium-browser', 'google-chrome'], ['chromium']),
  python: installPythonEnvironment,
  build,
  pythons: () => run(process.execPath, [join(root, 'dist/test/helpers/prepare-pythons.js')]), // after the build
}

function installPackages() {
  const marker = join(root, 'node_modules/.package-lock.json')
  const upToDate = existsSync(marker) && statSync(marker).mtimeMs >= statSync(join(root, 'package-lock.json')).mtimeMs
  if (upToDate) return
  say('installing npm packages')
  const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' }
  run('npm', ['ci', '--no-fund', '--no-audit', '--loglevel=error'], { env })
}

function installPythonEnvironment() {
  const folder = join(root, 'examples/shapes-trainer')
  const requirements = join(folder, 'requirements.txt')
  const hash = createHash('sha256').update(readFileSync(requirements)).digest('hex')
  const marker = join(folder, '.venv/requirements.sha256')
  if (existsSync(marker) && readFileSync(marker, 'utf8') === hash) return
  say("making the example trainer's Python environment")
  if (!canRun('python3', ['-c', 'import venv, ensurepip'])) aptInstall(['python3', 'python3-venv', 'python3-pip'])
  run('python3', ['-m', 'venv', '--clear', join(folder, '.venv')])
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-compile', '-r', requirements]
  run(join(folder, '.venv/bin/python'), pip)
  writeFileSync(marker, hash)
}

function ensureProgram(names, packages, { service } = {}) {
  if (names.some(onPath)) return
  say(`installing ${packages.join(' ')}`)
  aptInstall(packages)
  if (service !== undefined) silenceService(service)
}

// Debian starts and enables the service of a package it installs; only the program was wanted.
function silenceService(service) {
  if (onPath('systemctl')) tryRun(['systemctl', 'disable', '--now', service])
  tryRun(['service', service, 'stop'])
  if (onPath('update-rc.d')) tryRun(['update-rc.d', service, 'disable'])
}

function aptInstall(packages) {
  const command = `apt-get install -y ${packages.join(' ')}`
  const prefix = rootPrefix()
  if (!onPath('apt-get') || prefix === undefined) fail(`Please run \`${command}\` as root, then start again.`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const install = [...prefix, 'apt-get', 'install', '-y', '-qq', '--no-install-recommends', ...packages]
  if (attempt(install, env)) return
  attempt([...prefix, 'apt-get', 'update', '-qq'], env)
  if (!attempt(install, env)) fail(`\`${command}\` failed; please install by hand, then start again.`)
}

function rootPrefix() {
  if (process.getuid?.() === 0) return []
  return canRun('sudo', ['-n', 'true']) ? ['sudo', '-n'] : undefined
}

function build() {
  mkdirSync(join(root, 'dist'), { recursive: true })
  run(process.execPath, [join(root, 'node_modules/typescript7/bin/tsc'), '-p', root])
  run(process.execPath, [join(root, 'scripts/copy-assets.mjs')])
  run(process.execPath, [join(root, 'scripts/bundle-packages.mjs')])
}

export function onPath(name) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => isExecutable(join(folder, name)))
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function canRun(program, args) {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0
}

function tryRun([program, ...args]) {
  const prefix = rootPrefix() ?? []
  const [first, ...rest] = [...prefix, program, ...args]
  spawnSync(first, rest, { stdio: 'ignore' })
}

// What the installers print goes to stderr: stdout belongs to the command that follows.
function attempt([program, ...args], env = process.env) {
  return spawnSync(program, args, { stdio: ['ignore', 2, 2], env, cwd: root }).status === 0
}

function run(program, args, { env = process.env } = {}) {
  if (!attempt([program, ...args], env)) fail(`\`${[program, ...args].join(' ')}\` failed.`)
}

function fail(message) {
  say(message)
  process.exit(1)
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  setUp(process.argv.length > 2 ? process.argv.slice(2) : ['packages', 'redis', 'python', 'build'])
}
