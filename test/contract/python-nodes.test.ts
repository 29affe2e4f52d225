import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { unzipChecked } from '../../src/base/archives/unzip.js'
import {
  dataAnswerSchema,
  imagesAnswerSchema,
  parseTrainerState,
  trainerStates,
} from '../../src/loop/protocol/index.js'
import { changedFiles } from './python-node.js'
import {
  environmentOf,
  IMAGE_COUNT,
  ORGANIZATION,
  PROJECT,
  type PythonTraining,
  type Release,
  runPythonTraining,
} from './python-training.js'
import { detectionsKeys, metricsKeys, statusKeys } from './wire-keys.js'
import { entriesOf, messagesOf, partNames, saved, valuesOf } from './wire-reading.js'

const releases = [
  { version: '0.8.2', name: '0.8.2', dialect: '0.8', dataFolderBy: 'argument', maxPerPost: 10 },
  { version: '0.27.0', name: 'newest', dialect: 'current', dataFolderBy: 'environment', maxPerPost: 100 },
] as const

const INSTALL_MS = 600_000
const TRAINING_MS = 150_000

for (const release of releases) {
  describe(`a trainer written with learning_loop_node ${release.version}, at a local Loop`, () => {
    const run = useTraining(release)

    it('takes the order and is told the success of all that it sends', () => {
      const { order, tap } = run()

      expect(order.ack).to.deep.equal({ success: true, error_msg: null, payload: null })
      expect(new Set(tap.requests.map(({ status }) => status))).to.deep.equal(new Set([200]))
      const answers = tap.messages.filter(({ from, kind }) => from === 'loop' && kind === 'answer')
      expect(answers.length).to.be.at.least(5)
      for (const { args } of answers) expect(args).to.deep.equal([{ success: true, error_msg: null, payload: null }])
    })

    it('logs in before anything else that needs it', () => {
      const { tap } = run()

      const paths = tap.requests.map(({ path }) => path)
      expect(paths.slice(0, 2)).to.deep.equal(['/api/status', '/api/login'])
      const isOpen = (path: string) => ['/api/status', '/api/login'].includes(path)
      for (const { path, headers } of tap.requests) if (!isOpen(path)) expect(headers.cookie).to.match(/^token=/)
    })

    it('reports each status with exactly the keys of its dialect', () => {
      const statuses = valuesOf(run().tap, 'update_trainer', 0)

      for (const status of statuses) expect(status).to.have.all.keys(statusKeys[release.dialect])
      const dialects = run()
        .loop.nodes()
        .map(({ dialect }) => dialect)
      expect(dialects).to.deep.equal([release.dialect])
    })

    it('passes through the states in their order, without errors, from idle to idle', () => {
      const statuses = valuesOf(run().tap, 'update_trainer', 0)

      const states = statuses.map(({ state }) => parseTrainerState(String(state), release.dialect) ?? String(state))
      const busy = states.filter((state) => state !== 'idle')
      const inOrder = trainerStates.filter((state) => busy.includes(state))
      expect([states.at(0), states.at(-1)]).to.deep.equal(['idle', 'idle'])
      expect(busy).to.include('running')
      expect(busy.filter((state, index) => state !== busy[index - 1])).to.deep.equal(inOrder)
      for (const { errors } of statuses) expect(errors).to.deep.equal({})
    })

    it('sends metrics while it trains and once more at the end, each a point of the chart', () => {
      const { tap, loop, order } = run()

      const metrics = messagesOf(tap, 'update_training')
      const training = loop.training(ORGANIZATION, PROJECT, order.training_number)
      expect(metrics).to.have.length.of.at.least(2)
      for (const { args } of metrics) {
        expect(args.slice(0, 2)).to.deep.equal([ORGANIZATION, PROJECT])
        expect(args[2]).to.have.all.keys(metricsKeys[release.dialect])
      }
      expect(training?.points).to.have.lengthOf(metrics.length)
      const last = Object.values(training?.points.at(-1)?.confusion_matrix ?? {})
      expect(last).to.deep.equal(Array(3).fill({ tp: 3, fp: 0, fn: 0 }))
    })

    it('is shown as a completed training with the counts of its images', () => {
      const { loop, order } = run()

      const training = loop.training(ORGANIZATION, PROJECT, order.training_number)
      expect(training).to.include({ outcome: 'completed', state: 'idle', dialect: release.dialect, best_f1: 1 })
      expect(Number(training?.train_image_count) + Number(training?.test_image_count)).to.equal(16)
    })

    it('uploads each format once, all files in parts named "files"', () => {
      const { tap, loop } = run()

      const uploads = tap.requests.filter(({ method }) => method === 'PUT')
      expect(uploads.map(({ path }) => path)).to.deep.equal([
        '/api/zauberzeug/projects/shapes/trainings/1/models/latest/small/file',
        '/api/zauberzeug/projects/shapes/trainings/1/models/latest/small_export/file',
      ])
      expect(uploads.map(partNames)).to.deep.equal([
        ['files=model.weights', 'files=notes.txt', 'files=model.json'],
        ['files=model.weights', 'files=model.json'],
      ])
      const effects = loop.effects({ kind: 'training-model' }).map(({ key, count }) => ({ key, count }))
      expect(effects).to.deep.equal([
        { key: 'zauberzeug/shapes#1/small', count: 1 },
        { key: 'zauberzeug/shapes#1/small_export', count: 1 },
      ])
    })

    it('has its model served as one flat zip with a completed model.json', async () => {
      const { loop, ask, dataFolder } = run()
      const [model] = loop.models(ORGANIZATION, PROJECT)
      const folder = join(dataFolder, '..', 'unpacked')

      const zip = await ask(`/api/zauberzeug/projects/shapes/models/${model?.id}/small/file`)
      const names = await unzipChecked(await saved(zip, `${folder}.zip`), folder)

      expect(names).to.have.members(['model.weights', 'notes.txt', 'model.json'])
      expect(await readFile(join(folder, 'model.weights'))).to.deep.equal(Buffer.alloc(64, 3))
      const text = await readFile(join(folder, 'model.json'), 'utf8')
      expect(text).to.include('"format": "small"')
      const identity = { id: model?.id, version: model?.version, organization: ORGANIZATION, project: PROJECT }
      expect(JSON.parse(text)).to.include({ ...identity, host: loop.url, resolution: 416, model_size: 'tiny' })
      const kinds = JSON.parse(text).categories.map(({ name, type }: Record<string, string>) => `${name}: ${type}`)
      expect(kinds).to.deep.equal(['circle: box', 'square: box', 'cross: point'])
    })

    it('uploads detections of every image in entries of its dialect', () => {
      const { tap, loop } = run()

      const posts = tap.requests.filter(({ path }) => path.endsWith('/detections'))
      for (const post of posts) expect(entriesOf(post)).to.have.length.within(1, release.maxPerPost)
      const entries = posts.flatMap(entriesOf)
      for (const entry of entries) expect(entry).to.have.all.keys(detectionsKeys[release.dialect])
      expect(entries).to.have.lengthOf(IMAGE_COUNT)
      const [model] = loop.models(ORGANIZATION, PROJECT)
      const effects = loop.effects({ kind: 'detections' })
      expect(new Set(effects.map(({ key }) => key)).size).to.equal(IMAGE_COUNT)
      for (const { key, count } of effects) {
        expect(key).to.match(new RegExp(`@${model?.version}$`))
        expect(count).to.equal(1)
      }
    })

    it('has its detections kept beside image and model version', async () => {
      const { loop, ask } = run()
      const [model] = loop.models(ORGANIZATION, PROJECT)
      const { image_ids } = dataAnswerSchema.parse(await (await ask('/api/zauberzeug/projects/shapes/data?')).json())

      const query = `ids=${image_ids.join(',')}&model_version=${model?.version}`
      const answer = await (await ask(`/api/zauberzeug/projects/shapes/images?${query}`)).json()
      const { images } = imagesAnswerSchema.parse(answer)

      expect(images).to.have.lengthOf(IMAGE_COUNT)
      for (const { box_detections, point_detections, width, height } of images) {
        expect(box_detections).to.have.lengthOf(2)
        expect(box_detections[0]).to.include({ x: 1, y: 2, width: width - 1, height: height - 2, confidence: 0.9 })
        expect(point_detections).to.have.lengthOf(1)
        expect(point_detections[0]).to.include({ category_name: 'cross', model_name: model?.version })
      }
    })

    it('keeps its data in the folder that it was given', async () => {
      const { dataFolder, order } = run()

      const uuids = JSON.parse(await readFile(join(dataFolder, 'uuids.json'), 'utf8'))
      expect(uuids).to.deep.equal({ small_trainer: order.trainer })
    })

    it('runs with the installed files untouched', async () => {
      expect(await changedFiles(run().interpreter, release.version)).to.deep.equal([])
    })
  })
}

/** Installs the release if need be and runs one training, for all tests of the suite to look at. */
function useTraining(release: Release): () => PythonTraining {
  let training: PythonTraining | undefined
  before('installs the library', async function () {
    this.timeout(INSTALL_MS)
    await environmentOf(release)
  })
  before('runs a training', async function () {
    this.timeout(TRAINING_MS)
    training = await runPythonTraining(release, { hyperparameters: { resolution: 416, epochs: 3 } })
  })
  after(async () => training?.remove())
  return () => {
    if (training === undefined) throw new Error('There was no training.')
    return training
  }
}
