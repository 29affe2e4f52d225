import { readdir, readFile } from 'node:fs/promises'
import { dirname, join, normalize } from 'node:path'
import { expect } from 'chai'
import { createProgram } from '../../src/cli/program.js'
import { cliPage } from '../../src/cli/reference/cli-page.js'
import { configurationPage } from '../../src/cli/reference/configuration-page.js'
import { faultKinds } from '../../src/mock/loop/index.js'
import { packageRoot } from '../cli/run-cli.js'

describe('the reference pages', () => {
  it('are as fresh as the program they are made from', async () => {
    expect(await read('docs/reference/cli.md'), 'run `npm run docs`').to.equal(cliPage(createProgram()))
    expect(await read('docs/reference/configuration.md'), 'run `npm run docs`').to.equal(configurationPage())
  })

  it('list every error code of the program, and no other', async () => {
    const sources = await Promise.all((await filesOf('src', /\.ts$/)).map(read))
    const used = new Set(sources.flatMap((source) => source.match(/\bLF_[A-Z][A-Z_]*[A-Z]\b/g) ?? []))

    const page = await read('docs/reference/errors.md')
    const listed = [...page.matchAll(/^\| `(LF_[A-Z_]+)` \|/gm)].map((match) => match[1] ?? '')

    expect(listed).to.have.lengthOf(new Set(listed).size)
    expect(
      [...used].filter((code) => !listed.includes(code)),
      'codes without a row',
    ).to.deep.equal([])
    expect(
      listed.filter((code) => !used.has(code)),
      'rows without a code',
    ).to.deep.equal([])
  })

  it('list every call and every fault of the local Loop', async () => {
    const page = await read('docs/local-loop.md')
    const sources = await Promise.all((await filesOf('src/mock/loop/local', /\.ts$/)).map(read))
    const routes = sources.flatMap((source) => [...source.matchAll(/app\.(get|post|put|delete)\([`']([^`']+)[`']/g)])
    const calls = routes.flatMap(([, method = '', path = '']) => spelledOut(`${method.toUpperCase()} ${path}`))

    const documented = [...page.matchAll(/^\| `([A-Z]+ \/api\/local[^`]*)`/gm)].map((match) => match[1])
    expect(new Set(documented)).to.deep.equal(new Set(calls))
    for (const kind of faultKinds) expect(page).to.contain(`| \`${kind}\` |`)
  })
})

describe('the page of the protocol', () => {
  it('says of all that is newer than 0.20.1 which test shows it, why it is not there, or that it comes later', async () => {
    const page = await read('docs/reference/loop-protocol.md')
    const [, section = ''] = page.split('## Newer than 0.20.1')
    const rows = [...(section.split(/^## /m)[0]?.matchAll(/^\| (?!where|---)(.+) \|$/gm) ?? [])].map(([, row = '']) =>
      row.split(' | '),
    )

    expect(rows).to.have.lengthOf.above(10)
    for (const row of rows) {
      expect(row, row[0]).to.have.lengthOf(3)
      const [, , here = ''] = row
      const tests = [...here.matchAll(/`(test\/[^`]+)`: ([^;|]+)/g)].map(([, file = '', title = '']) => ({
        file,
        title: title.trim(),
      }))
      expect(tests.length > 0 || /^(Reason|Later): /.test(here), row[0]).to.equal(true)
      for (const { file, title } of tests) expect(await read(file), file).to.include(`it('${title}'`)
    }
  })
})

describe('the pages', () => {
  it('link only to what is there', async () => {
    const broken: string[] = []
    const all = await allPages()
    const existing = new Set(await filesOf('.', /./))
    for (const page of all) {
      const targets = [...(await read(page)).matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map((match) => match[1] ?? '')
      const local = targets
        .filter((target) => !/^https?:/.test(target))
        .map((target) => normalize(join(dirname(page), target)))
      broken.push(...local.filter((path) => !isThere(existing, path)).map((path) => `${page} → ${path}`))
    }

    expect(broken).to.deep.equal([])
  })
})

const KIND = /\$\{kind\}$/

/** A route for each of the kinds that one line of code registers. */
function spelledOut(route: string): string[] {
  return KIND.test(route) ? ['stop', 'abort'].map((kind) => route.replace(KIND, kind)) : [route]
}

function isThere(existing: ReadonlySet<string>, path: string): boolean {
  const folder = path.endsWith('/') ? path : `${path}/`
  return existing.has(path) || [...existing].some((file) => file.startsWith(folder))
}

async function allPages(): Promise<string[]> {
  const atRoot = (await readdir(packageRoot)).filter((name) => name.endsWith('.md'))
  return [...atRoot, ...(await filesOf('docs', /\.md$/)), ...(await filesOf('examples', /\.md$/))]
}

/** Paths from the root of the package; folders that are made or installed are left out. */
async function filesOf(folder: string, pattern: RegExp): Promise<string[]> {
  const entries = await readdir(join(packageRoot, folder), { withFileTypes: true })
  const nested = entries.map((entry) => {
    const path = normalize(join(folder, entry.name))
    if (entry.isDirectory()) return MADE.has(entry.name) ? [] : filesOf(path, pattern)
    return pattern.test(entry.name) ? [path] : []
  })
  return (await Promise.all(nested)).flat()
}

const MADE = new Set(['node_modules', 'dist', 'data', 'coverage', '.git', '.venv', '.cache', '__pycache__'])

function read(file: string): Promise<string> {
  return readFile(join(packageRoot, file), 'utf8')
}
