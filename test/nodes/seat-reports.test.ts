import { expect } from 'chai'
import { until } from '../helpers/until.js'
import { UUID_A, UUID_B, useSeats } from './seats-fixture.js'

describe('a seat tells the Loop how its training is', () => {
  const seats = useSeats()
  const historyOf = (uuid = UUID_A) => seats.shown(uuid)?.history ?? []

  it('progress and errors too', async () => {
    await seats.startNode()
    await seats.order()
    const { id } = await seats.unfinished()
    await seats.kept.take(id, 'host-a')

    await seats.kept.update(id, { state: 'running', progress: 0.25, errors: { run_training: 'it died' } })

    await until(
      'both are seen',
      () => seats.shown()?.progress === 0.25 && seats.shown()?.errors.run_training === 'it died',
    )
  })

  it('on every connect', async () => {
    await seats.startNode()
    const before = seats.shown()?.lastSeen ?? 0

    seats.loop.dropSockets()
    await until('it is away', () => seats.shown()?.connected === false)
    await until(
      'it is back and has spoken',
      () => seats.shown()?.connected === true && (seats.shown()?.lastSeen ?? 0) > before,
    )

    expect(seats.shown()?.state).to.equal('idle')
  })

  it('what has changed while the connection was lost', async () => {
    await seats.startNode()
    await seats.order()
    const { id } = await seats.unfinished()
    seats.loop.addFault({ match: { event: 'connect' }, kind: 'refuse', times: 2 })
    seats.loop.dropSockets()
    await until('it is away', () => seats.shown()?.connected === false)

    await seats.kept.take(id, 'host-a')
    await seats.kept.update(id, { state: 'running' })

    await seats.settled('running')
  })

  it('from time to time, also when nothing changes', async () => {
    await seats.startNode({ heartbeatMs: 50 })
    const before = seats.shown()?.lastSeen ?? 0

    await until('it was heard again', () => (seats.shown()?.lastSeen ?? 0) > before)
  })

  it('nothing of the trainings of others, and immediately of its own that was retried', async () => {
    await seats.startNode({ seats: 2 })
    await seats.order({ trainer: UUID_A })
    const { id } = await seats.unfinished()
    await seats.kept.take(id, 'host-a')
    await seats.settled('initialized')
    const heardOfB = seats.shown(UUID_B)?.lastSeen

    for (let step = 1; step <= 5; step += 1) await seats.kept.update(id, { state: 'running', progress: step / 5 })
    await until('the last change is seen', () => seats.shown()?.progress === 1)
    expect(seats.shown(UUID_B)?.lastSeen).to.equal(heardOfB)

    await seats.kept.finish(id, 'failed', { run_training: 'it died' })
    await seats.settled('idle')
    await seats.kept.trainings.retry(id)
    await seats.settled('initialized') // it waits, and no host lives
  })

  it('that it is idle when its training has ended', async () => {
    await seats.startNode()
    await seats.order()
    const { id } = await seats.unfinished()

    await seats.kept.finish(id, 'completed')

    await seats.settled('idle')
    expect(historyOf().some(({ errors }) => Object.keys(errors).length > 0)).to.equal(false)
  })

  it('that the errors it has told of are gone when its training is completed', async () => {
    await seats.startNode()
    await seats.order()
    const { id } = await seats.unfinished()
    await seats.kept.take(id, 'host-a')
    await seats.kept.update(id, { state: 'detected', errors: { detecting: 'no memory' } })
    await seats.settled('detected')

    await seats.kept.finish(id, 'completed', {})

    await seats.settled('idle')
    const last = historyOf().slice(-2)
    expect(last.map(({ state, errors }) => ({ state, errors }))).to.deep.equal([
      { state: 'ready_for_cleanup', errors: {} },
      { state: 'idle', errors: {} },
    ])
  })

  it('why its training failed, once, and then that it is idle', async () => {
    await seats.startNode()
    await seats.order()
    const { id } = await seats.unfinished()
    await seats.kept.take(id, 'host-a')

    await seats.kept.finish(id, 'failed', { run_training: 'The trainer exited with code 3.' })

    await seats.settled('idle')
    const last = historyOf().slice(-2)
    expect(last.map(({ state, errors }) => ({ state, errors }))).to.deep.equal([
      { state: 'ready_for_cleanup', errors: { run_training: 'The trainer exited with code 3.' } },
      { state: 'idle', errors: {} },
    ])
  })

  it('why its training failed when the Loop is back, if it was away', async () => {
    await seats.startNode()
    await seats.order()
    const { id } = await seats.unfinished()
    await seats.kept.take(id, 'host-a')
    const outage = seats.loop.addFault({ match: { event: 'connect' }, kind: 'refuse' })
    seats.loop.dropSockets()
    await until('it is away', () => seats.shown()?.connected === false)

    await seats.kept.finish(id, 'failed', { run_training: 'it died' })
    await until('it has noticed', async () => (await seats.kept.trainings.load(id))?.outcome === 'failed')
    seats.loop.clearFaults(outage.id)

    await seats.settled('idle')
    expect(historyOf().map(({ errors }) => errors)).to.deep.include({ run_training: 'it died' })
  })

  it('its state in the words of dialect 0.8 when it speaks that', async () => {
    await seats.startNode({ dialect: '0.8' })
    await seats.order()
    const { id } = await seats.unfinished()

    await seats.kept.take(id, 'host-a')
    await seats.kept.update(id, { state: 'confusion_matrix_syncing' })

    await seats.settled('confusion_matrix_syncing')
    expect(seats.shown()?.dialect).to.equal('0.8')
  })
})
