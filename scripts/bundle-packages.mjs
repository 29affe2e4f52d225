// The last step of the build: joins each package that many processes load at their start into one file of dist/packages, and
// lets the compiled modules of dist/src import that file (docs/adr/0033). Without this step they import the packages themselves.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { build, version as esbuildVersion } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const target = join(root, 'dist/packages')
const compiled = join(root, 'dist/src')

/** Plain JavaScript that finds none of its own files by their path. */
const bundled = [
  'axios',
  'bullmq',
  'commander',
  'cookie',
  'execa',
  'form-data',
  'ioredis',
  'p-limit',
  'socket.io-client',
  'tar',
  'tough-cookie',
  'yaml',
  'yauzl',
  'yazl',
  'zod',
]
/** Native code, which packages load if it is there. */
const external = ['bufferutil', 'msgpackr-extract', 'utf-8-validate']

const key = currentKey()
if (!isBuilt()) await bundle()
for (const file of modulesBelow(compiled)) importBundles(file)

async function bundle() {
  rmSync(target, { recursive: true, force: true })
  mkdirSync(target, { recursive: true })
  const { metafile } = await build({
    entryPoints: Object.fromEntries(bundled.map((name) => [name, `entry:${name}`])),
    outdir: target,
    bundle: true,
    splitting: true, // what several of them need is there once
    chunkNames: 'shared-[hash]',
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    external,
    // esbuild replaces `require` of CommonJS modules by a function that throws, unless there is one.
    banner: { js: "import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);" },
    legalComments: 'none', // LICENSES.txt has all of them
    logLevel: 'warning',
    metafile: true,
    plugins: [{ name: 'entries', setup: addEntries }],
  })
  writeFileSync(join(target, 'LICENSES.txt'), licensesOf(Object.keys(metafile.inputs)))
  writeFileSync(join(target, 'key.txt'), key)
}

/** An entry exports what the package exports to Node; esbuild alone would not know the names of a CommonJS package. */
function addEntries(builder) {
  builder.onResolve({ filter: /^entry:/ }, ({ path }) => ({ path: path.slice('entry:'.length), namespace: 'entry' }))
  builder.onLoad({ filter: /.*/, namespace: 'entry' }, async ({ path }) => {
    const names = Object.keys(await import(path)).filter((name) => name !== 'module.exports')
    return { contents: `export { ${names.join(', ')} } from '${path}'`, resolveDir: root }
  })
}

function licensesOf(inputs) {
  const folders = new Set(inputs.map((input) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0]))
  folders.delete(undefined)
  const texts = [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
    return `${name} ${version} (${license})\n\n${licenseIn(join(root, folder))}`
  })
  return texts.join(`\n${'-'.repeat(80)}\n\n`)
}

/** Some packages have their licence at the end of their README. */
function licenseIn(folder) {
  const read = (start) => {
    const file = readdirSync(folder).find((name) => name.toLowerCase().startsWith(start))
    return file === undefined ? '' : readFileSync(join(folder, file), 'utf8')
  }
  const text = read('licen') || /^#* *licen[cs]e\b[\s\S]*/im.exec(read('readme'))?.[0]
  if (text === undefined) throw new Error(`${folder} has no licence that could be kept beside its code.`)
  return text
}

/** In a compiled module each import is a line of its own, or a call. One that an earlier build has changed is restored first. */
function importBundles(file) {
  const text = readFileSync(file, 'utf8')
  const replace = (whole, before, name, after) => {
    if (!bundled.includes(name)) return whole
    return `${before}${relative(dirname(file), join(target, `${name}.js`))
      .split(sep)
      .join('/')}${after}`
  }
  const changed = text
    .replace(/'(?:\.\.\/)+packages\/([^']+)\.js'/g, "'$1'")
    .replace(/^((?:import|export) .*from ')([^']+)(';)$/gm, replace)
    .replace(/(\bimport\(')([^']+)('\))/g, replace)
  if (changed !== text) writeFileSync(file, changed)
}

function modulesBelow(folder) {
  return readdirSync(folder, { recursive: true })
    .filter((file) => file.endsWith('.js'))
    .map((file) => join(folder, file))
}

/** Of all that the bundles depend on: versions and this script. */
function currentKey() {
  const lock = readFileSync(join(root, 'package-lock.json'))
  const script = readFileSync(fileURLToPath(import.meta.url))
  return createHash('sha256').update(lock).update(script).update(`${esbuildVersion} ${process.version}`).digest('hex')
}

function isBuilt() {
  const file = join(target, 'key.txt')
  return existsSync(file) && readFileSync(file, 'utf8') === key
}
