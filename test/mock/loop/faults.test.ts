import { expect } from 'chai'
import { idleStatus, startLoop, type TestLoop } from './start-loop.js'

describe('faults of the local Loop', () => {
  let loop: TestLoop
  before(async () => {
    loop = await startLoop()
  })
  afterEach(() => loop.clearFaults())
  after(() => loop.remove())

  const models = '/api/zauberzeug/projects/demo/models'
  const get = () => loop.call('GET', models)
  const failed = (work: Promise<unknown>) =>
    work.then(
      () => false,
      () => true,
    )

  it('answer a status as often as told, after as many unharmed requests as told', async () => {
    loop.addFault({
      match: { path: '/zauberzeug/projects/demo/models' },
      kind: 'status',
      status: 503,
      times: 2,
      after: 1,
    })

    const statuses = [await get(), await get(), await get(), await get()].map(({ status }) => status)

    expect(statuses).to.deep.equal([200, 503, 503, 200])
  })

  it('are added, listed and removed over HTTP', async () => {
    const rule = { match: { path: '^/api/.*/models$' }, kind: 'too-many-requests', retryAfter: 3 }
    const { json } = await loop.call('POST', '/api/local/faults', rule)

    const limited = await get()
    await loop.call('DELETE', `/api/local/faults?id=${json.id}`)

    expect(limited.status).to.equal(429)
    expect(limited.headers.get('retry-after')).to.equal('3')
    expect((await loop.call('GET', '/api/local/faults')).json.faults).to.deep.equal([])
  })

  it('refuse rules that are not valid', async () => {
    for (const rule of [
      {},
      { match: {}, kind: 'explode' },
      { match: { path: '^(' }, kind: 'cut' },
      { match: { route: 'x' }, kind: 'cut' },
    ]) {
      expect((await loop.call('POST', '/api/local/faults', rule)).status).to.equal(422)
    }
  })

  it('cut a connection in the middle of an answer, and truncate another without a sign', async () => {
    const path = `${models}/00000000-0000-0000-0000-000000000011/mocked/file`
    const { bytes } = await loop.call('GET', path)

    loop.addFault({ match: { method: 'get' }, kind: 'cut', times: 1 })
    const cut = await failed(loop.call('GET', path))
    loop.addFault({ match: {}, kind: 'truncate', times: 1 })
    const truncated = await loop.call('GET', path)

    expect(cut).to.equal(true)
    expect(truncated.status).to.equal(200)
    expect(truncated.bytes.length).to.be.within(1, bytes.length - 1)
  })

  it('lose an answer after its effect, or refuse before it', async () => {
    loop.addFault({ match: { path: '/acme/projects/generator' }, kind: 'lost-answer', times: 1 })
    const lost = await failed(loop.call('POST', '/api/acme/projects/generator', { project_name: 'lost' }))
    loop.addFault({ match: { path: '/acme/projects/generator' }, kind: 'refuse', times: 1 })
    const refused = await failed(loop.call('POST', '/api/acme/projects/generator', { project_name: 'refused' }))

    expect([lost, refused]).to.deep.equal([true, true])
    expect((await loop.call('GET', '/api/acme/projects/lost')).status).to.equal(200)
    expect((await loop.call('GET', '/api/acme/projects/refused')).status).to.equal(404)
  })

  it('reach the socket: a refusal, a lost answer', async () => {
    const socket = await loop.connect('trainer')
    loop.addFault({ match: { event: 'update_trainer' }, kind: 'status', times: 1 })
    loop.addFault({ match: { event: 'update_trainer' }, kind: 'lost-answer', times: 1, after: 1 })

    const refused = await socket.emitWithAck('update_trainer', idleStatus)
    const gone = new Promise((resolve) => socket.once('disconnect', resolve))
    const answer = failed(socket.timeout(5000).emitWithAck('update_trainer', idleStatus))
    await gone

    expect(refused.success).to.equal(false)
    expect(await answer).to.equal(true)
    expect(loop.node('trainer-1')?.name).to.equal('Trainer One')
  })

  it('send an event twice', async () => {
    const socket = await loop.connect('annotation_node')
    const status = { id: 'a1', name: 'A', state: 'online', uptime: 0, errors: {}, capabilities: ['segmentation'] }
    await socket.emitWithAck('update_annotation_node', status)
    let count = 0
    socket.on('user_logout', (_sid, ack) => {
      count += 1
      ack({ success: true, error_msg: null, payload: null })
    })
    loop.addFault({ match: { event: 'user_logout' }, kind: 'duplicate', times: 1 })

    await loop.call('POST', '/api/local/nodes/a1/user-logout', { frontend_id: 'f' })
    await loop.call('POST', '/api/local/nodes/a1/user-logout', { frontend_id: 'f' })

    expect(count).to.equal(3)
  })
})
