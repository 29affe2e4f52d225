import { expect } from 'chai'
import type { Socket } from 'socket.io-client'
import { busyStatus, filesForm, idleStatus, metricsOf, startLoop, type TestLoop } from './start-loop.js'

describe('a training at the local Loop', () => {
  let loop: TestLoop
  let trainer: Socket
  let orders: unknown[][]
  beforeEach(async () => {
    loop = await startLoop()
    await loop.generate({ project_name: 'shapes', complete: 2, box_categories: 2 })
    trainer = await loop.connect('trainer')
    orders = []
    for (const event of ['begin_training', 'stop_training', 'abort_training']) {
      trainer.on(event, (...args) => {
        orders.push([event, ...args.slice(0, -1)])
        args.at(-1)({ success: true, error_msg: null, payload: null })
      })
    }
    await trainer.emitWithAck('update_trainer', idleStatus)
  })
  afterEach(() => loop.remove())

  const order = () => loop.orderTraining('zauberzeug', 'shapes')
  const send = (event: string, ...args: unknown[]) => trainer.emitWithAck(event, ...args)
  const categoryId = async (): Promise<string> =>
    (await loop.call('GET', '/api/zauberzeug/projects/shapes')).json.categories[0].id
  const upload = (number: number, format = 'onnx') =>
    loop.call(
      'PUT',
      `/api/zauberzeug/projects/shapes/trainings/${number}/models/latest/${format}/file`,
      filesForm({ 'model.bin': 'x' }),
    )

  it('is ordered in the words of both dialects at the first idle trainer', async () => {
    const { json } = await loop.call('POST', '/api/local/zauberzeug/shapes/trainings', {})

    expect(json).to.deep.include({ training_number: 1, trainer: 'trainer-1' })
    const [event, organization, project, config] = orders[0] ?? []
    expect([event, organization, project]).to.deep.equal(['begin_training', 'zauberzeug', 'shapes'])
    expect(config).to.deep.include({
      training_number: 1,
      id: 'small',
      model_variant: 'small',
      resolution: 640,
      flip_rl: false,
    })
    expect(config).to.have.property('hyperparameters')
  })

  it('is ordered in one dialect alone when that is asked for', async () => {
    await loop.orderTraining('zauberzeug', 'shapes', { dialect: '0.8' })

    expect(orders[0]?.[3]).to.have.keys(['categories', 'training_number', 'id', 'resolution', 'flip_rl', 'flip_ud'])
  })

  it('is not ordered when no trainer is idle', async () => {
    await order()

    expect((await loop.call('POST', '/api/local/zauberzeug/shapes/trainings', {})).status).to.equal(409)
  })

  it('keeps each state of the trainer, and ends when the trainer is idle again', async () => {
    await order()
    for (const state of ['initialized', 'running', 'running', 'detecting'])
      await send('update_trainer', busyStatus(state))
    await send('update_training', 'zauberzeug', 'shapes', metricsOf(await categoryId()))
    await upload(1)
    await send('update_trainer', idleStatus)

    const training = loop.training('zauberzeug', 'shapes', 1)

    expect(training?.history.map(({ state }) => state)).to.deep.equal(['initialized', 'running', 'detecting', 'idle'])
    expect(training).to.deep.include({ outcome: 'completed', train_image_count: 3, test_image_count: 2 })
    expect(loop.node('trainer-1')?.history.map(({ state }) => state)).to.deep.equal([
      'idle',
      'initialized',
      'running',
      'detecting',
      'idle',
    ])
  })

  it('reads the sentences and counts of dialect 0.8', async () => {
    await order()
    const counts = { train_image_count: 8, test_image_count: 2, skipped_image_count: 1, hyperparameters: null }
    await send('update_trainer', { ...busyStatus('Downloading data'), ...counts })

    expect(loop.training('zauberzeug', 'shapes', 1)).to.deep.include({
      state: 'data_downloading',
      skipped_image_count: 1,
      dialect: '0.8',
    })
  })

  it('gets one model for all formats, that of the newest metrics', async () => {
    await order()
    await send('update_training', 'zauberzeug', 'shapes', metricsOf(await categoryId()))
    await send('update_training', 'zauberzeug', 'shapes', metricsOf(await categoryId()))

    const [first, second] = [await upload(1), await upload(1, 'npz')]

    expect(second.json.id).to.equal(first.json.id)
    expect(loop.models('zauberzeug', 'shapes')).to.have.lengthOf(1)
    expect(loop.models('zauberzeug', 'shapes')[0]).to.deep.include({
      version: '1.0',
      formats: ['onnx', 'npz'],
      resolution: 640,
    })
    expect(loop.effects({ kind: 'metrics' }).map(({ count }) => count)).to.deep.equal([1, 2])
    const { charts } = (await loop.call('GET', '/api/zauberzeug/projects/shapes/trainings')).json
    expect(charts[0].data[0].model_id).to.equal(first.json.id)
  })

  for (const [what, counts] of [
    ['has no counts', undefined],
    ['counts nothing', { tp: 0, fp: 0, fn: 0 }],
  ] as const) {
    it(`shows a model whose matrix ${what} as not measured, not as F1 0`, async () => {
      await order()
      const id = await categoryId()
      const metrics = { ...metricsOf(id), confusion_matrix: counts === undefined ? {} : { [id]: counts } }
      await send('update_training', 'zauberzeug', 'shapes', metrics)

      const { charts } = (await loop.call('GET', '/api/zauberzeug/projects/shapes/trainings')).json
      const { trainings } = (await loop.call('GET', '/api/local/trainings')).json
      expect(charts[0].data[0]).to.include({ f1: null, precision: null, recall: null })
      expect(trainings[0]).to.include({ best_f1: null })
    })
  }

  it('keeps a measured F1 of 0, and leaves a share of nothing open', async () => {
    await order()
    const id = await categoryId()
    const metrics = { ...metricsOf(id), confusion_matrix: { [id]: { tp: 0, fp: 0, fn: 3 } } }
    await send('update_training', 'zauberzeug', 'shapes', metrics)
    await send('update_training', 'zauberzeug', 'shapes', { ...metrics, confusion_matrix: {} })

    const { trainings } = (await loop.call('GET', '/api/local/trainings')).json
    expect(trainings[0].points[0]).to.include({ f1: 0, precision: null, recall: 0 })
    expect(trainings[0]).to.include({ best_f1: 0 })
  })

  it('answers a format that its model has with 409 and the id of the model, and keeps the first files', async () => {
    await order()
    await send('update_training', 'zauberzeug', 'shapes', metricsOf(await categoryId()))
    const first = await upload(1)

    const again = await upload(1)
    await send('update_training', 'zauberzeug', 'shapes', metricsOf(await categoryId()))
    const afterNewMetrics = await upload(1)

    expect(again).to.deep.include({ status: 409 })
    expect(again.json).to.deep.equal({ detail: { id: first.json.id } })
    expect(afterNewMetrics.status).to.equal(200)
    expect(afterNewMetrics.json.id).not.to.equal(first.json.id)
  })

  it('refuses a model before metrics, for number 0 and for an unknown number', async () => {
    await order()

    expect((await upload(1)).status).to.equal(400)
    expect((await upload(0)).status).to.equal(404)
    expect((await upload(9)).status).to.equal(404)
    expect(loop.effects({ kind: 'training-model' })).to.deep.equal([])
  })

  it('refuses status and metrics that are not as the protocol says', async () => {
    await order()
    const metrics = metricsOf(await categoryId())
    const { errors: _, ...incomplete } = idleStatus
    const bad: [string, ...unknown[]][] = [
      ['update_trainer'],
      ['update_trainer', incomplete],
      ['update_trainer', { ...idleStatus, state: 'dancing' }],
      ['update_trainer', { ...idleStatus, progress: '0.5' }],
      ['update_trainer', { ...idleStatus, errors: null }],
      ['update_training', 'zauberzeug', 'nothing', metrics],
      [
        'update_training',
        'zauberzeug',
        'shapes',
        { ...metrics, confusion_matrix: { circle: { tp: 1, fp: 0, fn: 0 } } },
      ],
      ['update_training', 'zauberzeug', 'shapes', { ...metrics, train_image_count: 1.5 }],
      ['update_training', 'zauberzeug', 'shapes', { ...metrics, trainer_id: 'stranger' }],
      ['update_training', ['zauberzeug', 'shapes', metrics]],
    ]
    for (const [event, ...args] of bad) {
      const answer = await send(event, ...args)
      expect(answer.success, JSON.stringify(args)).to.equal(false)
      expect(answer.error_msg).to.be.a('string')
    }
    expect(loop.effects()).to.deep.equal([])
  })

  it('is stopped and aborted at the trainer that has it', async () => {
    await order()
    await send('update_trainer', busyStatus('running', 0.5))

    await loop.call('POST', '/api/local/zauberzeug/shapes/trainings/1/stop')
    await loop.call('POST', '/api/local/zauberzeug/shapes/trainings/1/abort')
    await send('update_trainer', idleStatus)

    expect(orders.slice(1)).to.deep.equal([['stop_training'], ['abort_training']])
    expect(loop.training('zauberzeug', 'shapes', 1)?.outcome).to.equal('aborted')
    expect((await loop.call('POST', '/api/local/zauberzeug/shapes/trainings/1/stop')).status).to.equal(409)
  })

  it('goes on after a restart of the Loop', async () => {
    await order()
    await send('update_training', 'zauberzeug', 'shapes', metricsOf(await categoryId()))
    const { json } = await upload(1)

    loop = await loop.restart()
    trainer = await loop.connect('trainer')
    await send('update_trainer', busyStatus('detecting'))
    await send('update_trainer', idleStatus)

    expect(loop.training('zauberzeug', 'shapes', 1)?.outcome).to.equal('completed')
    expect(loop.models('zauberzeug', 'shapes')[0]?.id).to.equal(json.id)
    expect(loop.effects({ kind: 'training-model' })).to.have.lengthOf(1)
    expect((await loop.call('GET', '/api/zauberzeug/projects/shapes/data?')).json.image_ids).to.have.lengthOf(2)
    const main = `/api/zauberzeug/projects/shapes/models/${json.id}/onnx/file`
    expect((await loop.call('GET', main)).status).to.equal(200)
  })

  it('is told when the order is refused', async () => {
    trainer.removeAllListeners('begin_training')
    trainer.on('begin_training', (...args) => args.at(-1)({ success: false, error_msg: 'busy', payload: null }))

    const { ack } = await order()

    expect(ack).to.deep.include({ success: false })
    expect(loop.training('zauberzeug', 'shapes', 1)).to.deep.include({
      outcome: 'refused',
      errors: { begin_training: 'busy' },
    })
  })

  it('can be waited for', async () => {
    const signal = AbortSignal.timeout(10_000)
    await order()
    const waiting = loop.until(() => loop.training('zauberzeug', 'shapes', 1)?.state === 'running', { signal })

    await send('update_trainer', busyStatus('running'))

    expect(await waiting).to.equal(true)
  })
})
