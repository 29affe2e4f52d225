import { existsSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, normalize } from 'node:path'
import process from 'node:process'
import { expect } from 'chai'
import { execa } from 'execa'
import { list } from 'tar'
import { removeTree } from '../../src/base/files.js'
import type { DemoSummary } from '../../src/cli/demo/summary.js'
import { stages } from '../../src/queue/jobs/names.js'
import { packageRoot } from '../cli/run-cli.js'
import { type NpmRegistry, startNpmRegistry } from '../helpers/npm-registry.js'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
/** Packages of the installation whose scripts may run; none of them downloads anything. */
const KNOWN_SCRIPTS = [
  'bufferutil', // uses its prebuilt binary
  'msgpackr-extract', // uses its prebuilt package
]

describe('The packed package', function () {
  this.timeout(420_000)
  let folder: string
  let archive: string
  let files: string[]
  let registry: NpmRegistry

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'loopfleet-package-'))
    registry = await startNpmRegistry()
    // As `npm pack` does by its prepack script, but without a second build while other tests run from the first one.
    await execa(process.execPath, [join(packageRoot, 'scripts/vendor-onnxruntime.mjs')])
    const pack = await execa('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], {
      cwd: packageRoot,
    })
    archive = join(folder, JSON.parse(pack.stdout)[0].filename)
    files = []
    await list({ file: archive, onReadEntry: (entry) => void files.push(entry.path.replace(/^package\//, '')) })
  })
  after(async () => {
    await registry?.close()
    await removeTree(folder)
  })

  it('holds no compiled Python, no environment and no link that leads nowhere', async () => {
    expect(files.filter((file) => /\.pyc$|__pycache__|\.venv|node_modules|\.tsbuildinfo$/.test(file))).to.deep.equal([])
    const pages = files.filter((file) => file.endsWith('.md'))
    expect(pages).to.include('README.md')
    const dead = await Promise.all(pages.map(async (page) => (await linksOf(page)).filter((link) => !isPacked(link))))
    expect(dead.flat()).to.deep.equal([])
  })

  it('holds what its manifest names', async () => {
    const manifest = JSON.parse(await readFile(join(packageRoot, 'package.json'), 'utf8'))
    const targets = Object.values<Record<string, string>>(manifest.exports).flatMap((entry) => Object.values(entry))

    for (const target of [...targets, manifest.bin.loopfleet]) expect(files).to.include(normalize(target))
    const licenses = ['LICENSE', 'vendor/onnxruntime-node/LICENSE', 'dist/packages/LICENSES.txt']
    expect(files).to.include.members([...licenses, 'redis.conf'])
  })

  it('is installed and runs the demo from an empty folder by npx, with nothing but the npm registry', async () => {
    const empty = join(folder, 'empty')
    const home = join(folder, 'home')
    for (const each of [empty, home]) await mkdir(each)
    await writeFile(join(home, '.npmrc'), `registry=${registry.url}/\ncache=${join(home, 'cache')}\n`)
    const proxies = { HTTP_PROXY: registry.proxyUrl, HTTPS_PROXY: registry.proxyUrl, NO_PROXY: '127.0.0.1,localhost' }
    const npm = { cwd: empty, env: { PATH: process.env.PATH ?? '', HOME: home }, extendEnv: false } as const

    const install = ['exec', '--yes', '--package', archive, '--', 'loopfleet', '--version']
    const { stdout: version } = await execa('npm', install, { ...npm, env: { ...npm.env, ...proxies } })
    // What npx has installed; a second call of npx would install it once more.
    const { exitCode, stdout, stderr } = await execa(
      join(await npxFolder(home), '.bin/loopfleet'),
      ['demo', '--short', '--json'],
      { ...npm, env: { ...npm.env, ...pipSettings() }, reject: false },
    )

    expect(version).to.match(/^\d+\.\d+\.\d+$/)
    expect(registry.foreignHosts, 'hosts beside the registry').to.deep.equal([])
    expect(await packagesWithScripts(home)).to.have.members(KNOWN_SCRIPTS)
    expect(exitCode, stderr).to.equal(0)
    expect(stderr).to.contain('Making a Python environment')
    expect(stderr, 'no lines of a log').not.to.match(/^\{/m)
    expectSummary(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? ''))
    for (const text of ['Starting a Loop', 'Drawing 280 images', 'running', 'model', 'against truth']) {
      expect(stderr).to.include(text)
    }
    expect(await readdir(empty), 'everything lies in the data folder').to.deep.equal(['data'])
    expect(existsSync(join(empty, 'data/demo/examples/shapes-trainer/.venv/bin/python'))).to.equal(true)
  })

  for (const release of ['10.8.2', '11.19.1']) {
    describe(`has a lock file that npm ${release}`, () => {
      let program: string
      before(async () => {
        const prefix = join(folder, `npm-${release}`)
        await execa('npm', ['install', '--prefix', prefix, '--no-audit', '--no-fund', `npm@${release}`])
        program = join(prefix, 'node_modules/npm/bin/npm-cli.js')
        expect((await execa(process.execPath, [program, '--version'])).stdout).to.equal(release)
      })

      it('accepts for npm ci, with the packages of every platform', async () => {
        const npm = await cloneForNpm(program)

        const { exitCode, stderr } = await npm.run(['ci', '--dry-run'])

        expect(exitCode, stderr).to.equal(0)
      })

      it('leaves as it is when it installs', async () => {
        const npm = await cloneForNpm(program)
        const before = await npm.lockFile()

        const { exitCode, stderr } = await npm.run(['install', '--package-lock-only'])

        expect(exitCode, stderr).to.equal(0)
        expect(await npm.lockFile()).to.equal(before)
      })
    })
  }

  /** A folder with what npm reads of the checkout, for this program of npm. */
  async function cloneForNpm(program: string) {
    const clone = await mkdtemp(join(folder, 'clone-'))
    for (const name of ['package.json', 'package-lock.json', '.npmrc']) {
      await copyFile(join(packageRoot, name), join(clone, name))
    }
    return {
      run: (args: readonly string[]) => execa(process.execPath, [program, ...args], { cwd: clone, reject: false }),
      lockFile: () => readFile(join(clone, 'package-lock.json'), 'utf8'),
    }
  }

  function isPacked(link: string): boolean {
    return files.includes(link) || files.some((file) => file.startsWith(`${link.replace(/\/$/, '')}/`))
  }
})

/** What the demo prints on its last line: read back from the Loop; its detector ran the carried ONNX Runtime. */
function expectSummary(summary: DemoSummary): void {
  expect(Object.keys(summary)).to.deep.equal([
    'ok',
    'state',
    'train_image_count',
    'test_image_count',
    'f1',
    'model',
    'images_with_detections',
    'precision',
    'recall',
    'stages',
    'seconds',
    'conversion',
    'detector',
    'annotation',
  ])
  expect(summary).to.include({ ok: true, state: 'idle', train_image_count: 160, test_image_count: 80 })
  expect(summary.model).to.have.all.keys('id', 'version', 'formats')
  expect(summary.model?.id).to.match(UUID)
  expect(summary.model?.version).to.match(/^\d+\.\d+$/)
  expect(summary.model?.formats).to.have.members(['shapes_numpy', 'onnx', 'onnx_fp16', 'onnx_int8'])
  expect(summary.images_with_detections).to.be.within(1, 280)
  for (const share of [summary.f1, summary.precision, summary.recall]) expect(share).to.be.within(0, 1)
  expect(summary.stages).to.have.all.keys(...stages)
  for (const seconds of Object.values(summary.stages)) expect(seconds).to.be.a('number').and.at.least(0)
  expect(summary.seconds).to.be.within(summary.stages.train ?? 0, 200)
  expect(summary.conversion?.formats).to.have.members(['onnx_fp16', 'onnx_int8'])
  expect(summary.detector).to.include({ model_version: summary.model?.version, images: 20 })
  expect(summary.detector?.arrived, 'uncertain images in the inbox again').to.equal(summary.detector?.uncertain)
  expect(summary.annotation?.points).to.be.at.least(8)
  expect(summary.annotation?.box_iou).to.be.within(0.6, 1)
}

/** The files of the package that a page links to. */
async function linksOf(page: string): Promise<string[]> {
  const text = await readFile(join(packageRoot, page), 'utf8')
  const targets = [...text.matchAll(/\]\(([^)\s#]+)(?:#[^)\s]*)?\)/g)].map((match) => match[1] ?? '')
  return targets.filter((target) => !/^[a-z]+:/.test(target)).map((target) => normalize(join(dirname(page), target)))
}

/** What pip needs on this machine to reach its index. */
function pipSettings(): Record<string, string> {
  const isSetting = ([name, value]: [string, string | undefined]) =>
    value !== undefined && /^(PIP_|SSL_CERT|REQUESTS_CA|https?_proxy$|HTTPS?_PROXY$|NO_PROXY$)/.test(name)
  return Object.fromEntries(Object.entries(process.env).filter(isSetting)) as Record<string, string>
}

/** The packages that npx has installed. */
async function npxFolder(home: string): Promise<string> {
  const runs = join(home, 'cache/_npx')
  const [run = ''] = await readdir(runs)
  return join(runs, run, 'node_modules')
}

async function packagesWithScripts(home: string): Promise<string[]> {
  const lock = JSON.parse(await readFile(join(await npxFolder(home), '.package-lock.json'), 'utf8'))
  const packages = Object.entries<{ hasInstallScript?: boolean }>(lock.packages)
  return packages
    .filter(([, { hasInstallScript }]) => hasInstallScript === true)
    .map(([path]) => path.replace(/^.*node_modules\//, ''))
}
