import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect } from 'chai'
import { z } from 'zod'
import { projectRoot } from '../helpers/project-root.js'

const listsSchema = z.object({
  slowSuites: z.record(z.string(), z.object({ files: z.array(z.string()).min(1) })),
  notFast: z.record(z.string(), z.array(z.string()).min(1)),
})

describe('the lists of slow tests', () => {
  const tests = join(projectRoot(), 'test')
  const lists = async () =>
    listsSchema.parse(await import(pathToFileURL(join(projectRoot(), 'scripts/slow-suites.mjs')).href))

  it('name only files that are there', async () => {
    const files = Object.values((await lists()).slowSuites).flatMap((suite) => suite.files)

    expect(files.filter((file) => !existsSync(join(tests, file)))).to.deep.equal([])
  })

  it('have every file that runs in slow suites alone', async () => {
    const listed = Object.values((await lists()).slowSuites).flatMap((suite) => suite.files)
    const all = (await readdir(tests, { recursive: true })).filter((file) => file.endsWith('.slow.test.ts'))

    expect(all.filter((file) => !listed.includes(file))).to.deep.equal([])
  })

  it('leave out of test:fast only what is there', async () => {
    const all = await readdir(tests, { recursive: true })
    const starts = Object.values((await lists()).notFast).flat()

    expect(starts.filter((start) => !all.some((file) => file.startsWith(start)))).to.deep.equal([])
  })
})
