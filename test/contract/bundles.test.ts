import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect } from 'chai'
import { packageRoot } from '../cli/run-cli.js'

const bundles = join(packageRoot, 'dist/packages')
const isShared = (file: string) => file.startsWith('shared-')

describe('packages that the build has joined into one file each', () => {
  let files: string[]
  let names: string[]
  before(async () => {
    files = (await readdir(bundles)).filter((file) => file.endsWith('.js'))
    names = files.filter((file) => !isShared(file)).map((file) => file.replace(/\.js$/, ''))
  })

  it('export to Node what the packages export', async () => {
    expect(names).to.include.members(['bullmq', 'zod'])
    for (const name of names) {
      const [bundle, original] = await Promise.all([
        import(pathToFileURL(join(bundles, `${name}.js`)).href),
        import(name),
      ])
      const exported = Object.keys(original).filter((key) => key !== 'module.exports')

      expect(Object.keys(bundle), name).to.have.members(exported)
    }
  })

  it('are what the compiled modules import', async () => {
    const modules = (await readdir(join(packageRoot, 'dist/src'), { recursive: true })).filter((file) =>
      file.endsWith('.js'),
    )
    const own = modules.filter((file) => !file.startsWith('dashboard/page/')) // it runs in browsers
    for (const file of own) {
      const text = await readFile(join(packageRoot, 'dist/src', file), 'utf8')
      const imported = [...text.matchAll(/^import .*from '([^']+)';$|\bimport\('([^']+)'\)/gm)].map(
        ([, one, two]) => one ?? two,
      )

      expect(
        names.filter((name) => imported.includes(name)),
        file,
      ).to.deep.equal([])
    }
  })

  it('stand with their licences, also those of the packages that they need', async () => {
    const licenses = await readFile(join(bundles, 'LICENSES.txt'), 'utf8')
    const texts = await Promise.all(files.map((file) => readFile(join(bundles, file), 'utf8')))
    // esbuild names each file that it has joined in a comment.
    const joined = texts.flatMap((text) => [
      ...text.matchAll(/^ *\/\/ (?:\S*\/)?node_modules\/((?:@[^/\s]+\/)?[^/\s]+)\//gm),
    ])
    const packages = [...new Set(joined.map(([, name]) => name))]

    expect(packages).to.include.members(['luxon', 'ws', '@ioredis/commands'])
    const titles = [...licenses.matchAll(/^(\S+) \d\S* \([^)]+\)$/gm)].map(([, name]) => name)
    expect(titles).to.include.members(packages)
  })
})
