import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { exportDataset } from '../../src/executors/dataset/export-dataset.js'
import { loadTrainerDefinition, type TrainerDefinition } from '../../src/executors/definition/definition.js'
import { imageDataSchema } from '../../src/loop/protocol/index.js'
import { preparedPython } from '../helpers/python-environments.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { category, collect, makeDefinition, makeOrder, start, trainers } from './support.js'

describe('figures of scripts that cannot be changed', function () {
  this.timeout(120_000)
  const folder = useTemporaryFolder()
  const definitionOf = (name: string) => loadTrainerDefinition(join(trainers, 'figures', `${name}.yaml`))

  it('are complete when the table is rewritten after each epoch, later with one more column', async () => {
    const training = await start({ definition: await definitionOf('rewritten_table'), workspace: folder.path })

    const events = await collect(training.events)

    const metrics = events.filter((event) => event.event === 'metrics')
    const models = events.filter((event) => event.event === 'model')
    expect(metrics.map(({ epoch }) => epoch)).to.deep.equal([0, 1, 2, 3, 4, 5, 6, 7])
    expect(metrics.filter(({ values }) => 'val_loss' in values).map(({ epoch }) => epoch)).to.deep.equal([
      3, 4, 5, 6, 7,
    ])
    expect(metrics.every(({ values }) => 'train_loss' in values)).to.equal(true)
    expect(events.findLast((event) => event.event === 'progress')).to.include({ progress: 1, epoch: 7, epochs: 8 })
    expect(models.at(-1)).to.include({ epoch: 7 })
    expect(models.map(({ epoch }) => epoch)).to.deep.equal(models.map(({ epoch }) => epoch).toSorted())
  })

  it('are unknown when the file of counts is not where the trainer file says, and the log says so', async () => {
    const definition = await definitionOf('rewritten_table')
    if (definition.best === 'events') throw new Error('it finds its models by their files')
    const best = { ...definition.best, metrics: 'elsewhere/{stem}.json' }
    const said: string[] = []
    const say = (line: string): void => void said.push(line)
    const training = await start({ definition: { ...definition, best }, workspace: folder.path, say })

    const models = (await collect(training.events)).filter((event) => event.event === 'model')

    expect(models.map(({ confusion_matrix }) => confusion_matrix)).to.deep.equal([{}])
    expect(said).to.have.length(1)
    expect(said[0]).to.match(/^the counts of \S+ are unknown: there is no whole \S*elsewhere\/\S+\.json$/)
  })

  it('of a best model behind a link are those of its file, and a link that leads nowhere is named', async () => {
    const script = `import os
os.makedirs('run')
open('run/1.bin', 'wb').write(b'x' * 100)
os.symlink('1.bin', 'run/best-right.bin')
os.symlink('run/1.bin', 'run/best-wrong.bin')`
    await writeFile(join(folder.path, 'links.py'), script)
    const definition = makeDefinition(
      `train: {scratch: [python3, '${join(folder.path, 'links.py')}']}\nbest: {files: run/best-*.bin, as: model.bin}`,
    )
    const workspace = join(folder.path, 'workspace')
    await mkdir(workspace)
    const said: string[] = []
    const training = await start({ definition, workspace, say: (line) => void said.push(line) })

    const models = (await collect(training.events)).filter((event) => event.event === 'model')

    expect(models).to.have.lengthOf(1)
    expect(said).to.deep.equal([
      'the best model run/best-wrong.bin is not used: it is a link to run/1.bin, which is not there',
    ])
  })

  it('of best models that are not used are named once for each state of a file, however often the program is resumed', async () => {
    const script = `import os
os.makedirs('run', exist_ok=True)
if not os.path.lexists('run/best-link.bin'):
    os.symlink('nowhere', 'run/best-link.bin')
    os.kill(os.getpid(), 9)`
    await writeFile(join(folder.path, 'links.py'), script)
    const program = `[python3, '${join(folder.path, 'links.py')}']`
    const definition = makeDefinition(
      `train: {scratch: ${program}, resume: ${program}, resume_when: run/last.bin}\nbest: {files: run/best-*.bin, as: model.bin}`,
    )
    const workspace = join(folder.path, 'workspace')
    await mkdir(workspace)
    const said: string[] = []
    const runOnce = async (resume: boolean) => {
      const training = await start({ definition, workspace, resume, say: (line) => void said.push(line) })
      await collect(training.events)
      return said.splice(0)
    }
    const link = 'the best model run/best-link.bin is not used: it is a link to nowhere, which is not there'
    const fresh = (at: string) =>
      `the best model run/best-1.bin is not used: run/best-1.bin was changed less than ${at}`

    expect(await runOnce(false)).to.deep.equal([link])
    await writeFile(join(workspace, 'run/last.bin'), 'weights')
    await writeFile(join(workspace, 'run/best-1.bin'), 'first')
    expect(await runOnce(true)).to.deep.equal([fresh('2 s ago')])
    expect(await runOnce(true)).to.deep.equal([])
    await writeFile(join(workspace, 'run/best-1.bin'), 'another state')
    expect(await runOnce(true)).to.deep.equal([fresh('2 s ago')])
  })

  describe('have the last epoch of the log, without table and numbers in names,', () => {
    const yaml = `progress: {log: '^\\s+epoch (?<epoch>\\d+)/(?<epochs>\\d+)'}\nbest: {files: result/best.pt, as: model.bin}`

    async function lastEpoch(definition: TrainerDefinition): Promise<unknown> {
      const training = await start({ definition, workspace: folder.path })
      const models = (await collect(training.events)).filter((event) => event.event === 'model')
      return models.at(-1)?.epoch
    }

    it('when the script prints a coloured bar right before it saves', async () => {
      expect(await lastEpoch(await loadTrainerDefinition(join(trainers, 'talks/colours.yaml')))).to.equal(4)
    })

    for (const when of ['at its start', 'before it saves', 'after it has saved']) {
      for (const what of ['line', 'bar']) {
        for (const [epochs, seconds] of [
          [3, 0.6],
          [8, 0.1],
        ] as const) {
          it(`when it prints a ${what} for an epoch of ${seconds} s ${when}`, async () => {
            const program = `[python, prints-its-epochs.py, ${when}, ${what}, '${epochs}', '${seconds}']`
            const definition = makeDefinition(`train: {scratch: ${program}}\n${yaml}`)

            const found = await lastEpoch(definition)

            const last = Number(await readFile(join(folder.path, 'result/last-epoch.txt'), 'utf8'))
            expect(last).to.be.at.least(epochs)
            expect(found).to.equal(last)
          })
        }
      }
    }
  })

  it('are counted for categories whose names are more than texts in YAML 1.1', async () => {
    const names = ['on', 'off', 'yes', 'no', '12:30']
    const categories = names.map((name, index) => category(`c${index}`, name))
    const workspace = join(folder.path, 'workspace')
    await mkdir(workspace)
    await writeFile(join(folder.path, 'i.jpg'), 'pixels')
    const images = ['train', 'test'].map((set) => imageDataSchema.parse({ id: set, set, width: 9, height: 9 }))
    const { signal } = new AbortController()
    const imagePath = () => join(folder.path, 'i.jpg')
    const python = await preparedPython('yaml')
    const definition = { ...(await definitionOf('category_names')), python }
    await exportDataset(definition.dataset, { folder: workspace, images, imagePath, categories, signal })

    const training = await start({ definition, workspace, order: makeOrder({ categories }) })
    const models = (await collect(training.events)).filter((event) => event.event === 'model')

    const counts = { tp: 8, fp: 1, fn: 2 }
    expect(models.map(({ epoch }) => epoch)).to.deep.equal([1])
    expect(models[0]?.confusion_matrix).to.deep.equal(Object.fromEntries(categories.map(({ id }) => [id, counts])))
  })
})
