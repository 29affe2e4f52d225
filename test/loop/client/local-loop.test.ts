import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { createImageExchange } from '../../../src/loop/client/images/image-exchange.js'
import { createModelExchange } from '../../../src/loop/client/models/model-exchange.js'
import { createLoopRest } from '../../../src/loop/client/session/rest.js'
import { createLoopSession } from '../../../src/loop/client/session/session.js'
import { createLoopSocket } from '../../../src/loop/client/socket/socket.js'
import { connect } from '../../../src/loop/client/socket/socket-connection.js'
import { toTrainerStatus, toTrainingMetrics } from '../../../src/loop/protocol/index.js'
import { startLocalLoop } from '../../../src/mock/loop/index.js'
import { rejection } from '../../helpers/rejection.js'

describe('Loop client against the local Loop', () => {
  const closers: (() => unknown)[] = []
  let folder: string
  const account = { username: 'robot', password: 'secret-of-robot' }
  const demo = { organization: 'zauberzeug', project: 'demo' }
  const never = new AbortController().signal

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'loopfleet-client-'))
  })
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close()
    await rm(folder, { recursive: true })
  })

  async function open() {
    const log = silentLogger()
    const loop = await startLocalLoop({ folder: join(folder, 'loop'), ...account }, { log })
    const session = createLoopSession({ host: loop.host, ...account }, { log })
    const rest = createLoopRest(session)
    const images = createImageExchange({ folder: join(folder, 'data'), retryFirstMs: 1 }, { rest, session, log })
    const models = createModelExchange({ session, log }, { retryFirstMs: 1 })
    const socket = createLoopSocket({ nodeType: 'trainer', reconnectMaxMs: 100 }, { session, log })
    closers.push(
      () => loop.close(),
      () => session.close(),
      () => socket.stop(),
    )
    return { loop, session, rest, images, models, socket }
  }

  it('brings a project to the disk, through lost sessions, refusals and broken answers', async () => {
    const { loop, rest, images } = await open()
    await loop.generate({ project_name: 'shapes', complete: 30, inbox: 4, box_categories: 2, organization: 'acme' })
    loop.addFault({ match: { path: '/acme' }, kind: 'expire-sessions', after: 5, times: 2 })
    loop.addFault({ match: { path: '/acme' }, kind: 'too-many-requests', retryAfter: 0.05, after: 8, times: 5 })
    loop.addFault({ match: { path: '/acme' }, kind: 'cut', after: 15, times: 3 })
    loop.addFault({ match: { path: '/acme' }, kind: 'status', status: 502, after: 20, times: 3 })
    const progress: number[] = []

    const ids = await rest.imageIds('acme', 'shapes', 'complete')
    const data = await images.fetchImageData({ organization: 'acme', project: 'shapes', ids, signal: never })
    const fetched = await images.fetchImages({
      organization: 'acme',
      project: 'shapes',
      ids,
      signal: never,
      onProgress: (done) => progress.push(done),
    })

    expect(ids).to.have.lengthOf(30)
    expect(data.map(({ id }) => id)).to.deep.equal(ids)
    expect(fetched.available).to.have.members(ids)
    expect(progress.at(-1)).to.equal(30)
    expect(await readdir(join(folder, 'data', 'acme', 'shapes', 'images'))).to.have.lengthOf(30)
  })

  it('never keeps an image that was cut short as if it were whole', async () => {
    const { loop, rest, images } = await open()
    const ids = await rest.imageIds('zauberzeug', 'demo')
    loop.addFault({ match: { path: '^.*/main$' }, kind: 'truncate' })

    const fetched = await images.fetchImages({ ...demo, ids, signal: never })

    expect(fetched).to.deep.include({ available: [], missing: [] })
    expect(fetched.corrupt).to.have.members(ids)
  })

  it('downloads the model that the project wants its detectors to run', async () => {
    const { rest, models } = await open()
    const target = await rest.deploymentTarget('zauberzeug', 'demo')
    const modelId = target?.model_uuid ?? ''

    const model = await models.download({
      ...demo,
      modelId,
      format: 'mocked',
      folder: join(folder, 'm'),
      signal: never,
    })

    expect(target?.version).to.equal('1.1')
    expect(model.files).to.have.members(['file_1.txt', 'file_2.txt', 'model.json'])
    expect(model.modelJson).to.include({ id: modelId, version: '1.1', ...demo })
  })

  it('says what is wrong with a model that the Loop does not have', async () => {
    const { models } = await open()
    const modelId = '00000000-0000-0000-0000-000000000000'

    const error = await models
      .download({ ...demo, modelId, format: 'mocked', folder: join(folder, 'm'), signal: never })
      .catch((thrown: unknown) => thrown)

    expect(error).to.deep.include({ code: 'LF_LOOP_REQUEST', failure: 'fatal' })
  })

  it('walks through a training as a trainer does, with a new login after the Loop dropped everything', async () => {
    const { loop, rest, models, socket } = await open()
    const orders: unknown[][] = []
    socket.on('begin_training', (...args) => orders.push(args) > 0)
    await socket.start({ signal: never })
    await socket.whenConnected()
    expect(await socket.emit('update_trainer', idle())).to.include({ success: true })

    const order = await loop.orderTraining('zauberzeug', 'demo', {})
    loop.expireSessions()
    loop.dropSockets()
    await untilConnectedAgain(socket)
    const [category] = (await rest.data('zauberzeug', 'demo')).categories
    await socket.emit('update_trainer', { ...idle(), state: 'running', context: demo })
    const metrics = toTrainingMetrics(
      {
        trainerId: 't1',
        trainerName: 'trainer',
        confusionMatrix: { [category?.id ?? '']: { tp: 1, fp: 2, fn: 3 } },
        trainImageCount: 2,
        testImageCount: 1,
        hyperparameters: {},
        bestEpoch: 1,
      },
      'current',
    )
    const acked = await socket.emit('update_training', 'zauberzeug', 'demo', metrics)
    await writeFile(join(folder, 'weights.bin'), 'weights')
    const uploaded = await models.uploadTrained({
      ...demo,
      trainingNumber: order.training_number,
      format: 'mocked',
      files: [join(folder, 'weights.bin')],
      modelJson: { categories: category === undefined ? [] : [category] },
      signal: never,
    })

    expect(orders).to.have.lengthOf(1)
    expect(acked).to.include({ success: true })
    const entry = (await rest.models('zauberzeug', 'demo')).find(({ id }) => id === uploaded.id)
    expect(entry?.formats).to.deep.equal(['mocked'])
    expect(loop.effects({ kind: 'training-model' })).to.have.lengthOf(1)
  })

  it('sends detections once, and tells that it does not know when the answer is lost', async () => {
    const { loop, rest } = await open()
    const [imageId] = await rest.imageIds('zauberzeug', 'demo')
    const [category] = (await rest.data('zauberzeug', 'demo')).categories
    const found = {
      box_detections: [
        {
          category_name: category?.name ?? '',
          category_id: category?.id ?? null,
          x: 1,
          y: 2,
          width: 30,
          height: 40,
          model_name: '1.2',
          confidence: 0.9,
        },
      ],
      point_detections: [],
      segmentation_detections: [],
      classification_detections: [],
      image_id: imageId ?? null,
    }
    loop.addFault({ match: { method: 'POST', path: '^.*/detections$' }, kind: 'lost-answer', times: 1 })

    const error = await rest.postDetections('zauberzeug', 'demo', [found]).catch((thrown: unknown) => thrown)
    const [image] = await rest.imageData('zauberzeug', 'demo', [imageId ?? ''], { modelVersion: '1.2' })

    expect(error).to.deep.include({ code: 'LF_LOOP_REQUEST', failure: 'transient' })
    expect(image?.box_detections).to.have.lengthOf(1)
  })

  it('is told in words when the account may not log in', async () => {
    const { loop } = await open()
    const session = createLoopSession(
      { host: loop.host, username: 'robot', password: 'wrong!' },
      { log: silentLogger() },
    )
    closers.push(() => session.close())

    const error = await createLoopRest(session)
      .imageIds('zauberzeug', 'demo')
      .catch((thrown: unknown) => thrown)

    expect(error).to.deep.include({ code: 'LF_LOOP_LOGIN', failure: 'fatal' })
    expect((error as Error).message).to.contain('check LOOP_USERNAME and LOOP_PASSWORD')
  })

  it('is told what to set when its socket needs a login and nobody gave it one', async () => {
    const { loop } = await open()

    const connecting = connect(
      {
        ...{ url: `ws://${loop.host}`, path: '/ws/socket.io', ca: undefined, headers: {} },
        ...{ connectTimeoutMs: 20_000, signal: never },
      },
      { onEvent: () => undefined },
    )
    const error = await rejection(connecting)

    expect(error).to.include({ code: 'LF_LOOP_SOCKET', failure: 'transient' })
    expect(error.message).to.match(
      /answered 403.*; set LOOP_USERNAME and LOOP_PASSWORD of an account that may connect\.$/,
    )
  })
})

function idle() {
  return toTrainerStatus(
    {
      id: 't1',
      name: 'trainer',
      state: 'idle',
      errors: {},
      uptimeSeconds: null,
      progress: null,
      pretrainedModels: [{ name: 'small', label: 'Small', description: '' }],
      architecture: 'mocked',
      context: null,
      trainImageCount: null,
      testImageCount: null,
      skippedImageCount: null,
      hyperparameters: null,
    },
    'current',
  )
}

async function untilConnectedAgain(socket: { onDisconnect: Disconnects; whenConnected(): Promise<void> }) {
  await new Promise((resolve) => socket.onDisconnect(resolve))
  await socket.whenConnected()
}
type Disconnects = (callback: (reason: string) => void) => unknown
