import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { expect } from 'chai'
import { projectRoot } from '../helpers/project-root.js'

const COPIED = `export function total(prices: readonly number[], taxes: readonly number[]): number {
  const sum = prices.reduce((all, price) => all + price, 0)
  const tax = taxes.reduce((all, rate) => all + sum * rate, 0)
  if (sum < 0 || tax < 0) throw new Error('negative: ' + sum + ' and ' + tax)
  return Math.round((sum + tax) * 100) / 100
}
`

describe('the laws of the house', function () {
  this.timeout(60_000)

  it('hold for a block that stands twice in one room', async () => {
    expect(await brokenBy({ 'src/queue/a.ts': COPIED, 'src/queue/b.ts': COPIED })).to.deep.equal([])
  })

  it('refuse a block that stands in two rooms', async () => {
    const broken = await brokenBy({ 'src/queue/a.ts': COPIED, 'src/workers/b.ts': `\n${COPIED}` })

    expect(broken).to.have.lengthOf(1)
    expect(broken[0]).to.match(
      /^src\/(queue\/a\.ts:1 and src\/workers\/b\.ts:2|workers\/b\.ts:2 and src\/queue\/a\.ts:1) share \d+ tokens$/,
    )
  })

  it('let the local Loop resemble the Loop client', async () => {
    expect(await brokenBy({ 'src/mock/loop/a.ts': COPIED, 'src/loop/client/b.ts': COPIED })).to.deep.equal([])
  })
})

describe('the limits of length', function () {
  this.timeout(60_000)
  const lines = (count: number, text: string) => `${text}\n`.repeat(count)
  const functionOf = (count: number, body: string) => `export function f() {\n${lines(count - 2, body)}}\n`

  it('hold for 400 lines in a file and 80 in a function, also when text is not ASCII', async () => {
    const files = { 'src/a.ts': lines(400, "// 'ä'"), 'src/b.ts': `// ü\n${functionOf(80, "  g('€')")}` }

    expect(await brokenBy(files)).to.deep.equal([])
  })

  it('refuse longer files, in tests too', async () => {
    const broken = await brokenBy({ 'src/a.ts': lines(401, '// a'), 'test/b.test.ts': lines(402, '// b') })

    expect(broken).to.deep.equal([
      'src/a.ts has 401 lines, of at most 400',
      'test/b.test.ts has 402 lines, of at most 400',
    ])
  })

  it('refuse longer functions and methods', async () => {
    const method = `class A {\n  m() {\n${lines(79, '    g()')}  }\n}\n`
    const broken = await brokenBy({ 'src/a.ts': `// ü\n\n${functionOf(81, "  g('€')")}`, 'src/b.ts': method })

    expect(broken).to.deep.equal([
      'src/a.ts:3 is a function of 81 lines, of at most 80',
      'src/b.ts:2 is a function of 81 lines, of at most 80',
    ])
  })

  it('count a function within another by itself, and leave out tests', async () => {
    const closures = `export function f() {\n${lines(40, '  g()')}  function inner() {\n${lines(60, '    g()')}  }\n}\n`
    const block = `describe('a', () => {\n${lines(90, '  g()')}})\n`

    expect(await brokenBy({ 'src/a.ts': closures, 'test/a.test.ts': block })).to.deep.equal([])
  })
})

describe('the law of exports for tests', () => {
  it('refuses those that do not say why a test needs them', async () => {
    const files = {
      'src/a.ts': '/** @internal since its test has a table. */\nexport const one = 1\n',
      'src/b.ts':
        '/** Two. @internal */\nexport const two = 2\n\n/**\n * @internal for now\n */\nexport const three = 3\n',
    }

    expect(await brokenBy(files)).to.deep.equal([
      'src/b.ts:1 has an @internal without a reason',
      'src/b.ts:5 has an @internal without a reason',
    ])
  })
})

describe('the law of plain words', () => {
  it('refuses words that are read twice, in code and pages, and says what to write', async () => {
    const [once, again] = [['at', 'once'].join(' '), ['An', 'ew'].join('')]
    const files = { 'src/a.ts': `// starts ${once}\n`, 'docs/a.md': `# A\n\n${again}, a new sentence.\n` }

    expect(await brokenBy(files)).to.deep.equal([
      `src/a.ts:1 says "${once}"; write "immediately" or "at the same time" instead`,
      `docs/a.md:3 says "${again}"; write "again" instead`,
    ])
  })
})

describe('the law of unused code', function () {
  this.timeout(60_000)

  it('holds for exports that are imported, and for those that are marked as internal', async () => {
    const files = {
      'src/a.ts': 'export const one = 1\n/** @internal since a test calls it. */\nexport const two = 2\n',
    }

    expect(await unusedIn(files)).to.deep.equal([])
  })

  it('refuses values, types and files that nobody imports, and packages', async () => {
    const files = {
      'src/a.ts': 'export const one = 1\nexport const two = 2\nexport type Three = 3\n',
      'src/b.ts': 'export const four = 4\n',
    }

    expect(await unusedIn(files, { zod: '4.0.0' })).to.deep.equal(['Three', 'src/b.ts', 'two', 'zod'])
  })
})

/** What knip finds with the settings of the project, in a house whose command line uses `one` of a.ts. */
async function unusedIn(files: Readonly<Record<string, string>>, dependencies = {}): Promise<string[]> {
  const main = { 'src/cli/main.ts': "import { one } from '../a.js'\n\nconsole.log(one)\n" }
  const settings = { 'package.json': JSON.stringify({ name: 'house', type: 'module', dependencies }) }
  const config = await readFile(join(projectRoot(), 'knip.jsonc'), 'utf8')
  return await inFolder({ ...main, ...settings, 'knip.jsonc': config, ...files }, (folder) => {
    const knip = join(projectRoot(), 'node_modules/knip/bin/knip.js')
    const args = ['--production', '--include', 'exports,types,files,dependencies', '--reporter', 'json']
    const { stdout, status } = spawnSync(process.execPath, [knip, ...args], { cwd: folder, encoding: 'utf8' })
    const issues: Readonly<Record<string, readonly { name: string }[]>>[] = JSON.parse(stdout).issues
    const kinds = ['exports', 'types', 'files', 'dependencies']
    const unused = issues.flatMap((issue) => kinds.flatMap((kind) => (issue[kind] ?? []).map(({ name }) => name)))
    expect(status).to.equal(unused.length === 0 ? 0 : 1)
    return unused.sort()
  })
}

/** What the check writes of a checkout with these files; its exit code goes with it. */
async function brokenBy(files: Readonly<Record<string, string>>): Promise<string[]> {
  return await inFolder(files, (folder) => {
    const script = join(projectRoot(), 'scripts/house.mjs')
    const { stderr, status } = spawnSync(process.execPath, [script, folder], { encoding: 'utf8' })
    const broken = stderr.split('\n').filter((line) => line !== '')
    expect(status).to.equal(broken.length === 0 ? 0 : 1)
    return broken
  })
}

async function inFolder<T>(files: Readonly<Record<string, string>>, use: (folder: string) => T): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'loopfleet-house-test-'))
  try {
    for (const [file, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, file)), { recursive: true })
      await writeFile(join(folder, file), text)
    }
    return use(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
