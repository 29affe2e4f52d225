import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import type { ModelEvent } from '../../../src/executors/contract/events.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { allEvents, makeDefinition, start } from '../support.js'

const COUNT = 50
const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1)

describe('models that a program reports faster than they can be copied', function () {
  this.timeout(30_000)
  const folder = useTemporaryFolder()

  /** Runs a program that reports so many models; answers what was handed on. */
  async function report(where: 'in-place' | 'apart', last: 'whole' | 'deleted') {
    const definition = makeDefinition(
      `train: {scratch: [python, overwrites-its-models.py, '${COUNT}', ${where}, ${last}]}`,
    )
    const said: string[] = []
    const training = await start({ definition, workspace: folder.path, say: (line) => said.push(line) })
    const models = (await allEvents(training)).filter((event) => event.event === 'model')
    return { models, said, withFiles: models.filter(({ files }) => Object.keys(files).length > 0) }
  }

  const epochIn = async ({ files }: ModelEvent) =>
    JSON.parse(await readFile(join(folder.path, files.mocked?.[0] ?? ''), 'utf8')).epoch

  for (const where of ['in-place', 'apart'] as const) {
    it(`keep all their figures when they lie ${where}, in order, and the last one its files`, async () => {
      const { models, withFiles, said } = await report(where, 'whole')

      expect(models.map(({ epoch }) => epoch)).to.deep.equal(upTo(COUNT))
      expect(models.map(({ confusion_matrix }) => confusion_matrix.c1?.tp)).to.deep.equal(upTo(COUNT))
      expect(models.at(-1)).to.equal(withFiles.at(-1))
      expect(await epochIn(withFiles.at(-1) as ModelEvent)).to.equal(COUNT)
      expect(said).to.have.lengthOf(COUNT - withFiles.length)
    })
  }

  it('keep the files of the best one that is really there', async () => {
    const { models, withFiles } = await report('apart', 'deleted')

    expect(models.map(({ epoch }) => epoch)).to.deep.equal(upTo(COUNT))
    expect(withFiles.at(-1)?.epoch).to.equal(COUNT - 1)
    expect(await epochIn(withFiles.at(-1) as ModelEvent)).to.equal(COUNT - 1)
    expect(models.at(-1)?.files).to.deep.equal({})
  })
})
