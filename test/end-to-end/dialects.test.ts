import { expect } from 'chai'
import { answerSchema, type Dialect } from '../../src/loop/protocol/index.js'
import type { TrainingRequest } from '../../src/mock/loop/index.js'
import { detectionsKeys, metricsKeys, statusKeys } from '../contract/wire-keys.js'
import { entriesOf, valuesOf } from '../contract/wire-reading.js'
import { type TappedMessage, type TappedRequest, tapWire, type WireTap } from '../contract/wire-tap.js'
import { type Fleet, startFleet } from '../helpers/fleet.js'
import { parseMultipart } from '../helpers/multipart.js'
import { statesWithProgress, trainingTexts08 } from '../helpers/trainer-texts.js'

// A fleet never says that it prepares.
const { preparing: _, ...texts } = trainingTexts08
const states: Record<string, string> = { idle: 'idle', ...texts }
// The protocol's keys once more: here they judge, so they do not come from our own schemas.
const categoryKeys = ['id', 'name', 'description', 'hotkey', 'color', 'point_size', 'type']
const batches = { '0.8': 10, current: 100 } as const
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

const IMAGES = { complete: 98, review: 2, annotate: 2, inbox: 3 }
const IMAGE_COUNT = 105

type Form = 'union' | Dialect

/** What passed between our nodes and the Loop because of one order. */
type Seen = {
  readonly number: number
  readonly requests: readonly TappedRequest[]
  readonly statuses: readonly Record<string, unknown>[]
  readonly metrics: readonly TappedMessage[]
  readonly acks: readonly TappedMessage[]
}

for (const dialect of ['current', '0.8'] as const) {
  describe(`a trainer node that speaks dialect ${dialect}`, function () {
    this.timeout(90_000)
    let fleet: Fleet
    let tap: WireTap
    before(async () => {
      fleet = await startFleet({
        threads: 1,
        dialect,
        project: { ...IMAGES, box_categories: 2, point_categories: 1 },
        env: { LOOP_ORGANIZATION: 'acme', LOOP_PROJECT: 'demo', LOOP_USERNAME: 'ada', LOOP_PASSWORD: 'love lace' },
        through: async (loopHost) => {
          tap = await tapWire(loopHost)
          return tap
        },
      })
      // Every state lasts long enough to be told: a seat passes over one that is gone before it could send it.
      fleet.loop.addFault({
        match: { path: '^/api/[^/]+/projects/[^/]+/(data|trainings)' },
        kind: 'delay',
        delayMs: 300,
      })
    })
    after(async () => fleet?.close())

    async function train(form: Form, request: TrainingRequest = {}): Promise<Seen> {
      const before = { requests: tap.requests.length, messages: tap.messages.length }
      const hyperparameters = { resolution: 800, flip_rl: true, epochs: 2, epoch_seconds: 0.8 }
      const number = await fleet.order({ dialect: form, hyperparameters, ...request })
      await fleet.until({ ended: true }, 40_000)
      const messages = tap.messages.slice(before.messages)
      return {
        number,
        requests: tap.requests.slice(before.requests),
        statuses: valuesOf({ ...tap, messages }, 'update_trainer', 0),
        metrics: messages.filter(
          ({ from, kind, name }) => from === 'node' && kind === 'event' && name === 'update_training',
        ),
        acks: messages.filter(
          ({ from, kind, name }) => from === 'node' && kind === 'answer' && name === 'begin_training',
        ),
      }
    }

    const rawState = (status: Record<string, unknown>): string => {
      const text = String(status.state)
      if (dialect === 'current') return text
      return Object.keys(states).find((state) => states[state] === text) ?? `unknown: ${text}`
    }
    const categories = () => fleet.seen().order.categories as { id: string; name: string }[]
    const project = () => `/api/${fleet.organization}/projects/${fleet.project}`

    it('logs in and opens its socket with the headers of the protocol', () => {
      const [login] = tap.requests.filter(({ path }) => path === '/api/login')
      expect(login?.method).to.equal('POST')
      expect(login?.headers['content-type']).to.match(/^application\/x-www-form-urlencoded/)
      expect([...new URLSearchParams(`${login?.body}`)]).to.deep.equal([
        ['username', 'ada'],
        ['password', 'love lace'],
      ])

      expect(tap.handshakes.length).to.be.at.least(1)
      for (const headers of tap.handshakes) {
        expect(headers).to.include({ organization: 'acme', project: 'demo', nodetype: 'trainer' })
        expect(headers.cookie).to.match(/^\S+=\S+/)
      }
    })

    it('is idle with the nulls of its dialect before any order', () => {
      const [first] = valuesOf(tap, 'update_trainer', 0)

      expect(first).to.deep.equal({
        id: fleet.trainer.facts.uuid,
        name: 'quick',
        state: 'idle',
        errors: {},
        uptime: null,
        progress: null,
        pretrained_models: [
          { name: 'small', label: 'Small', description: 'a small quick model' },
          { name: 'large', label: 'Large', description: 'a large quick model' },
        ],
        architecture: 'quick',
        context: null,
        ...(dialect === '0.8'
          ? { train_image_count: null, test_image_count: null, skipped_image_count: null, hyperparameters: null }
          : {}),
      })
    })

    for (const form of ['union', '0.8', 'current'] as const) {
      describe(`with an order in ${form === 'union' ? 'the form that serves both' : `the form of ${form}`}`, () => {
        let seen: Seen
        before(async () => {
          seen = await train(form)
        })

        it('acks it with an envelope and carries it out', () => {
          expect(seen.acks.map(({ args }) => args)).to.deep.equal([[{ success: true, error_msg: null, payload: null }]])
          expect(fleet.seen()).to.include({ outcome: 'completed', dialect })
          expect(fleet.seen().errors).to.deep.equal({})
        })

        it('has every message taken by the Loop', () => {
          const answers = tap.messages.filter(({ from, kind }) => from === 'loop' && kind === 'answer')

          expect(answers.length).to.be.at.least(5)
          for (const { args } of answers) expect(answerSchema.parse(args[0]).success).to.equal(true)
          for (const { status } of seen.requests) expect(status).to.equal(200)
        })

        it('reports each status with exactly the keys, types and nulls of its dialect', () => {
          const context = { organization: fleet.organization, project: fleet.project }
          expect(seen.statuses.length).to.be.at.least(5)
          for (const status of seen.statuses) {
            const isIdle = rawState(status) === 'idle'
            expect(status).to.have.all.keys(statusKeys[dialect])
            expect(status).to.include({ id: fleet.trainer.facts.uuid, name: 'quick', architecture: 'quick' })
            expect(status.errors).to.deep.equal({})
            expect(status.context).to.deep.equal(isIdle ? null : context)
            if (isIdle) expect(status.uptime).to.equal(null)
            else expect(status.uptime).to.be.a('number').and.at.least(0)
          }
        })

        it('names its states as its dialect does, in the order of the protocol, and ends idle', () => {
          const known = dialect === '0.8' ? Object.values(states) : Object.keys(states)
          for (const { state } of seen.statuses) expect(known).to.include(state)

          const told = seen.statuses.map(rawState)
          const fromOrder = told.slice(told.findIndex((state) => state !== 'idle')) // one may have been on its way
          const passed = fromOrder.filter((state, index, all) => state !== all[index - 1])
          const order = Object.keys(states).filter((state) => state !== 'idle' && passed.includes(state))
          expect(passed).to.deep.equal([...order, 'idle'])
          expect(passed).to.include.members(['data_downloading', 'running', 'train_model_uploading', 'detecting'])
        })

        it('reports progress from 0 to 1 where the protocol wants it, and null elsewhere', () => {
          for (const status of seen.statuses) {
            if (dialect === 'current' && !statesWithProgress.includes(rawState(status))) {
              expect(status.progress).to.equal(null)
            } else if (status.progress !== null) {
              expect(status.progress).to.be.within(0, 1)
            }
          }
          const running = progressIn('running')
          expect(running[0]).to.equal(form === '0.8' ? 1 / 3 : 1 / 2)
          expect(running).to.deep.equal([...running].sort((a, b) => a - b))
          for (const value of progressIn('detecting')) {
            const isFetching = [0.1, 0.2, 0.3, 0.4, 0.42].includes(value)
            expect(isFetching || value >= 0.5, `${value}`).to.equal(true)
          }
        })

        function progressIn(state: string): number[] {
          return seen.statuses
            .filter((status) => rawState(status) === state && status.progress !== null)
            .map(({ progress }) => Number(progress))
        }

        if (dialect === '0.8') {
          it('reports counts as soon as it has counted, and the hyperparameters in camel case', () => {
            const late = ['running', 'training_finished', 'detecting', 'detection_uploading']
            for (const status of seen.statuses) {
              const { train_image_count, test_image_count, skipped_image_count, hyperparameters } = status
              const counts = [train_image_count, test_image_count, skipped_image_count]
              const isIdle = rawState(status) === 'idle'
              if (isIdle) expect(counts).to.deep.equal([null, null, null])
              if (late.includes(rawState(status))) expect(counts).to.deep.equal([...setCounts(), 0])
              expect(hyperparameters).to.deep.equal(isIdle ? null : { resolution: 800, flipRl: true, flipUd: false })
            }
          })
        }

        function setCounts(): number[] {
          const { train_image_count, test_image_count } = fleet.seen()
          expect(Number(train_image_count) + Number(test_image_count)).to.equal(IMAGES.complete)
          return [Number(train_image_count), Number(test_image_count)]
        }

        it('sends a point of metrics per better model, keyed by category id', () => {
          const [train_image_count, test_image_count] = setCounts()
          const epochs = form === '0.8' ? [1, 2, 3] : [1, 2] // the form of 0.8 has no room for the number of epochs
          expect(seen.metrics).to.have.lengthOf(epochs.length)
          for (const [index, { args }] of seen.metrics.entries()) {
            const [organization, name, metrics] = args as [string, string, Record<string, unknown>]
            expect(args).to.have.lengthOf(3)
            expect([organization, name]).to.deep.equal([fleet.organization, fleet.project])
            expect(metrics).to.have.all.keys(metricsKeys[dialect])
            expect(metrics).to.include({ trainer_id: fleet.trainer.facts.uuid, train_image_count, test_image_count })
            expect(metrics.confusion_matrix).to.have.all.keys(categories().map(({ id }) => id))
            for (const counts of Object.values(metrics.confusion_matrix as object)) {
              expect(counts).to.have.all.keys('tp', 'fp', 'fn')
              for (const count of Object.values(counts as object)) expect(Number.isInteger(count)).to.equal(true)
            }
            if (dialect === '0.8') {
              expect(metrics.hyperparameters).to.deep.equal({ resolution: 800, flipRl: true, flipUd: false })
            } else {
              expect(metrics).to.include({ trainer_name: 'quick', best_epoch: epochs[index] })
              expect(metrics.hyperparameters).to.deep.equal(orderedHyperparameters())
            }
          }
        })

        function orderedHyperparameters(): unknown {
          if (form === '0.8') return { resolution: 800, flip_rl: true, flip_ud: false }
          return { resolution: 800, flip_rl: true, epochs: 2, epoch_seconds: 0.8 }
        }

        it('uploads each format once, after all metrics, with its files and a model.json of categories alone', () => {
          const puts = seen.requests.filter(({ method }) => method === 'PUT')
          const at = `${project()}/trainings/${seen.number}/models/latest`
          expect(puts.map(({ path }) => path)).to.deep.equal([`${at}/mocked/file`, `${at}/mocked_converted/file`])

          const parts = puts.map((put) => parseMultipart({ ...put, url: put.path }))
          expect(parts.map((list) => list.map(({ filename }) => filename))).to.deep.equal([
            ['model.bin', 'more.txt', 'model.json'],
            ['model.converted', 'model.json'],
          ])
          for (const { name } of parts.flat()) expect(name).to.equal('files')
          for (const { data } of parts.flat().filter(({ filename }) => filename === 'model.json')) {
            const modelJson = JSON.parse(`${data}`)
            expect(modelJson).to.have.all.keys('categories')
            expect(modelJson.categories).to.deep.equal(categories())
            for (const category of modelJson.categories) expect(category).to.have.all.keys(categoryKeys)
          }

          const effects = fleet.loop
            .effects()
            .filter(({ key }) => key.startsWith(`${fleet.organization}/${fleet.project}#${seen.number}`))
          const kinds = effects.map(({ kind }) => kind)
          expect(kinds.lastIndexOf('metrics')).to.be.below(kinds.indexOf('training-model'))
        })

        it('uploads one entry per image in batches of its dialect, each with the keys and types of the protocol', () => {
          const posts = seen.requests.filter(({ path }) => path === `${project()}/detections`)
          const sizes = posts.map((post) => entriesOf(post).length)
          const size = batches[dialect]
          const full = Array(Math.floor(IMAGE_COUNT / size)).fill(size)
          expect(sizes).to.deep.equal([...full, IMAGE_COUNT % size])
          for (const { method, headers } of posts) {
            expect(method).to.equal('POST')
            expect(headers['content-type']).to.match(/^application\/json/)
          }

          const entries = posts.flatMap(entriesOf)
          expect(new Set(entries.map(({ image_id }) => image_id)).size).to.equal(IMAGE_COUNT)
          for (const entry of entries) expectEntry(entry)
        })

        function expectEntry(entry: Record<string, unknown>): void {
          const [first, second, point] = categories()
          const from = { model_name: fleet.seen().models[0]?.version, confidence: 0.99 }
          const box = { x: 1, y: 2, width: 30, height: 40, ...from }
          const place = dialect === '0.8' ? { x: 100, y: 201 } : { x: 100.4, y: 200.6 }
          expect(entry).to.have.all.keys(detectionsKeys[dialect])
          expect(entry.box_detections).to.have.deep.members([
            { category_name: first?.name, category_id: first?.id, ...box },
            { category_name: second?.name, category_id: second?.id, ...box },
          ])
          expect(entry.point_detections).to.deep.equal([
            { category_name: point?.name, category_id: point?.id, ...place, ...from, confidence: 0.97 },
          ])
          expect([entry.segmentation_detections, entry.classification_detections]).to.deep.equal([[], []])
          expect(entry.image_id).to.be.a('string')
          if (dialect === '0.8') {
            expect(entry.tags).to.deep.equal([])
            expect(entry.date).to.match(/^\d{4}-\d\d-\d\d_\d\d:\d\d:\d\d\.\d{3}$/)
          }
        }

        it('asks for nothing but what the protocol offers', () => {
          const offered = [
            'GET /data state=complete',
            'GET /data state=inbox',
            'GET /data state=annotate',
            'GET /data state=review',
            'GET /images ids',
            'GET /images/ID/main ',
            'GET /models/ID/mocked/file ',
            'PUT /trainings/N/models/latest/mocked/file ',
            'PUT /trainings/N/models/latest/mocked_converted/file ',
            'POST /detections ',
            'POST /api/login ', // the worker's, before its first request
          ]
          for (const { method, path, query } of seen.requests) {
            const place = path.replace(project(), '').replace(/\/(images|models)\/[0-9a-f-]{36}\//, '/$1/ID/')
            const asked = `${method} ${place.replace(/\/trainings\/\d+\//, '/trainings/N/')} ${query.replace(/^ids=.*/, 'ids')}`
            expect(offered).to.include(asked)
            if (query.startsWith('ids=')) expect(query.split(',').length).to.be.at.most(100)
          }
        })

        it('sends its cookie with every request but the login', () => {
          const requests = seen.requests.filter(({ path }) => path !== '/api/login')
          for (const { headers } of requests) expect(headers.cookie).to.match(/^\S+=\S+/)
        })
      })
    }

    describe('and then', () => {
      for (const form of ['0.8', 'current'] as const) {
        it(`continues from a model of the Loop that an order of ${form} names`, async () => {
          const base = fleet.seen().models[0]?.id ?? ''
          expect(base).to.match(UUID)

          const download = fleet.hold({ path: `/${fleet.organization}/projects/${fleet.project}/models/${base}/` })
          const training = train(form, { base_model_uuid: base })
          await download.reached()
          download.release()
          const seen = await training

          expect(seen.statuses.map(rawState)).to.include('train_model_downloading')
          const paths = seen.requests.map(({ path }) => path)
          expect(paths).to.include(`${project()}/models/${base}/mocked/file`)
          expect(fleet.seen().outcome).to.equal('completed')
          expect((await fleet.record()).order.baseModel).to.deep.equal({ kind: 'loop', id: base })
        })
      }

      it('answers an order that makes no sense with what is wrong, and stays idle', async () => {
        const { ack } = await fleet.loop.orderTraining(fleet.organization, fleet.project, {
          dialect: 'current',
          config: { categories: [{ id: 7, name: 'x', type: 'box' }] },
        })

        expect(ack).to.deep.include({ success: false, payload: null })
        expect(answerSchema.parse(ack).error_msg).to.match(/^begin_training: categories\[0\]\.id must be a string/)
        expect(fleet.loop.node(String(fleet.trainer.facts.uuid))?.state).to.equal('idle')
      })
    })
  })
}
