import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { parse } from 'csv-parse/sync'
import { removeTree } from '../../src/base/files.js'
import type * as datasets from '../../src/executors/dataset/export-dataset.js'
import type * as definitions from '../../src/executors/definition/definition.js'
import { type ImageData, imageDataSchema } from '../../src/loop/protocol/index.js'
import type * as pipelines from '../../src/workers/trainings/pipeline.js'
import { packageRoot } from '../cli/run-cli.js'
import { category } from '../executors/support.js'
import { type CliProcess, startCli } from '../helpers/cli-process.js'
import { rejection } from '../helpers/rejection.js'
import { until } from '../helpers/until.js'
import { inputOf, startAnnotationLoop } from '../nodes/annotator/annotator-fixture.js'
import { anOrder } from '../queue/orders.js'
import type * as redisFixtures from '../queue/redis-fixture.js'
import type * as hosts from '../workers/trainings/a-host.js'
import { applyRecipe, filesOf, type Recipe, readRecipes } from './recipes/read-recipes.js'
import { copySources, type SourceCopy } from './recipes/source-copy.js'

describe('the recipes of CONTRIBUTING.md', function () {
  this.timeout(240_000)
  let recipes: readonly Recipe[] = []
  let folder = ''
  let copy: SourceCopy
  before(async () => {
    recipes = readRecipes(await readFile(join(packageRoot, 'CONTRIBUTING.md'), 'utf8'))
    folder = await mkdtemp(join(tmpdir(), 'loopfleet-recipes-'))
    copy = await copySources(join(folder, 'copy'))
    for (const recipe of recipes) await applyRecipe(recipe, copy.folder)
    await copy.compile()
  })
  after(() => removeTree(folder))

  it('are a stage, a node type and a dataset format, of at most three files each', () => {
    const titles = recipes.map(({ title }) => title)

    expect(titles).to.deep.equal(['Add a stage', 'Add a node type', 'Add a dataset format'])
    for (const recipe of recipes) expect(filesOf(recipe), recipe.title).to.have.lengthOf.within(2, 3)
  })

  it('keep format and laws of import', async () => {
    await copy.lint(recipes.flatMap(filesOf))
    await copy.checkLaws()
  })

  it('add a stage that a training goes through and whose result outlives it', async () => {
    const { startRedisFixture } = await copy.load<typeof redisFixtures>('test/queue/redis-fixture.js')
    const { startHost, ordersAndRecords } = await copy.load<typeof hosts>('test/workers/trainings/a-host.js')
    const { allStages } = await copy.load<typeof pipelines>('src/workers/trainings/pipeline.js')
    const added = Object.values(allStages).find(({ name }) => String(name) === 'report-card')
    const redis = await startRedisFixture()
    const upload: (typeof allStages)['upload-model']['run'] = async ({ training }) => {
      await mkdir(training.paths.model, { recursive: true })
      await writeFile(join(training.paths.workspace, 'leftover.bin'), '')
      await training.update({ modelId: 'model-7', trainImageCount: 5, best: { epoch: 3 } })
      return {}
    }
    const stages = { 'upload-model': upload, cleanup: allStages.cleanup.run, 'report-card': added?.run }
    const host = await startHost(redis, join(folder, 'data'), { stages })
    try {
      const { order, ended, record } = ordersAndRecords(redis)
      const id = await order()
      await ended(id)

      const { outcome, steps } = await record(id)
      expect(outcome).to.equal('completed')
      expect(host.begun.slice(-3)).to.deep.equal(['upload-detections', 'report-card', 'cleanup'])
      expect(steps).to.have.nested.property('report-card.hostId', 'host-a')
      const workspace = join(folder, 'data/zauberzeug/shapes/trainings', id)
      const card = JSON.parse(await readFile(join(workspace, 'model/report-card.json'), 'utf8'))
      expect(card).to.include({ modelId: 'model-7', epoch: 3, trainImageCount: 5 })
      expect((await rejection(readFile(join(workspace, 'leftover.bin')))).message).to.include('ENOENT')
    } finally {
      await host.shutDown()
      await redis.close()
    }
  })

  it('add a node that the Loop sees and that answers what people do', async () => {
    const at = await startAnnotationLoop()
    let node: CliProcess | undefined
    try {
      node = await startCli({
        args: ['observer', '--data', join(folder, 'observer'), '--name', 'eyes'],
        env: { PATH: process.env.PATH ?? '', LOOP_HOST: at.loop.host },
        logFile: join(folder, 'observer.log'),
        program: join(copy.folder, 'dist/src/cli'),
      })
      const path = `/api/local/nodes/${node.facts.uuid}`
      const seen = await until('its status is there', () => at.loop.node(String(node?.facts.uuid)))
      const body = { frontend_id: 'anna', data: inputOf(at, 'mouse_move', { x: 1, y: 1 }) }
      const input = await at.loop.call('POST', `${path}/user-input`, body)
      const logOut = () => at.loop.call('POST', `${path}/user-logout`, { frontend_id: 'anna' })

      expect(seen).to.include({ name: 'eyes', type: 'annotation_node', connected: true })
      expect(input.json.ack).to.include({ success: true, payload: '' })
      expect((await logOut()).json.ack).to.include({ success: true })
      expect((await logOut()).json.ack).to.include({ success: false })
      expect(await node.log()).to.match(/"user":"anna","inputs":1,/)
    } finally {
      await node?.end()
      await at.loop.remove()
    }
  })

  it('add a dataset format that a trainer can ask for and a program can read', async () => {
    const { exportDataset } = await copy.load<typeof datasets>('src/executors/dataset/export-dataset.js')
    const { parseTrainerDefinition } = await copy.load<typeof definitions>('src/executors/definition/definition.js')
    const file = 'name: t\nformat: f\ndataset: csv_boxes\ntrain: {scratch: [python, t.py]}\nupload: {f: [f.bin]}\n'
    const { dataset } = parseTrainerDefinition(file, 'trainer.yaml')
    const { categories } = anOrder({ categories: [category('c1', 'box, "big"')] })
    const inside = { category_id: 'c1', x: 10, y: 5, width: 20, height: 10 }
    const images = [
      image('i1', { box_annotations: [inside, { ...inside, x: 90 }] }),
      image('i2', { set: 'test', box_annotations: [{ ...inside, category_id: 'unknown' }] }),
    ]
    await mkdir(join(folder, 'cache'))
    for (const { id } of images) await writeFile(join(folder, 'cache', id), `pixels of ${id}`)

    const imagePath = (id: string) => join(folder, 'cache', id)
    const { signal } = new AbortController()
    const counts = await exportDataset(dataset, { folder, images, imagePath, categories, signal })

    expect(counts).to.deep.equal({ trainCount: 1, valCount: 0, testCount: 1 })
    const rows = parse(await readFile(join(folder, 'dataset/boxes.csv')), { columns: true })
    const first = { image: 'i1', set: 'train', category: 'box, "big"', x: '10', y: '5', width: '20', height: '10' }
    expect(rows).to.deep.equal([first, { ...first, x: '90', width: '10' }])
    expect(await readFile(join(folder, 'dataset/images/i2.jpg'), 'utf8')).to.equal('pixels of i2')
  })
})

describe('a recipe that is out of date', () => {
  const aPage = (where: string) => `\n## Recipes\n\n### Add it\n\n${where}\n\n\`\`\`ts\nconst added = 1\n\`\`\`\n`
  let folder = ''
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'loopfleet-recipes-'))
    await writeFile(join(folder, 'twice.ts'), 'here()\nhere()\nthere()\n')
  })
  afterEach(() => removeTree(folder))

  const apply = async (where: string) => {
    for (const recipe of readRecipes(aPage(where))) await applyRecipe(recipe, folder)
  }

  it('does not apply when its line is missing or there twice, or its new file is there', async () => {
    await apply('In `twice.ts`, after `there()`:')
    expect(await readFile(join(folder, 'twice.ts'), 'utf8')).to.equal('here()\nhere()\nthere()\nconst added = 1\n')

    for (const [where, reason] of [
      ['In `twice.ts`, after `gone()`:', 'has 0 lines "gone()"'],
      ['In `twice.ts`, after `here()`:', 'has 2 lines "here()"'],
      ['New file `twice.ts`:', 'EEXIST'],
      ['In `twice.ts`:', 'does not say in which file'],
    ] as const) {
      expect((await rejection(apply(where))).message, where).to.include(reason)
    }
  })
})

function image(id: string, more: Record<string, unknown>): ImageData {
  return imageDataSchema.parse({ id, set: 'train', width: 100, height: 50, ...more })
}
