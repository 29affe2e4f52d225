import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import type { FastifyInstance } from 'fastify'
import { silentLogger } from '../../src/base/logger/logger.js'
import { createConverterHttp } from '../../src/nodes/converter/converter-http.js'
import { sendThenRead } from '../helpers/send-then-read.js'

describe('the REST endpoints of a converter', () => {
  let server: FastifyInstance | undefined
  let done: string[]
  /** For how many more looks it is busy. */
  let busyLooks: number
  beforeEach(() => {
    done = []
    busyLooks = 0
  })
  afterEach(() => server?.close())

  function start({ backdoor = true } = {}): FastifyInstance {
    const node = {
      setOnline: async (online: boolean) => void done.push(`online ${online}`),
      setChecking: (on: boolean) => void done.push(`checks ${on}`),
      isBusy: async () => busyLooks-- > 0,
      async step() {
        await sleep(50)
        done.push('step')
        return { projects: 0, models: 0, planned: [], unfinished: [], failed: 0, skipped: [] }
      },
    }
    server = createConverterHttp({ backdoor }, { node, setDebugLogging: () => undefined, log: silentLogger() })
    return server
  }
  const check = (payload: string) => start().inject({ method: 'PUT', url: '/check_state', payload })

  it('have no backdoor unless they are given one', async () => {
    const closed = start({ backdoor: false })
    const answers = [
      await closed.inject({ method: 'PUT', url: '/check_state', payload: 'on' }),
      await closed.inject({ method: 'POST', url: '/step' }),
    ]
    expect(answers.map(({ statusCode }) => statusCode)).to.deep.equal([404, 404])
  })

  it('switch the checks on and off, and off only answers when nothing is under way', async () => {
    expect((await check('on')).json()).to.equal('on')
    busyLooks = 3
    expect((await check('off')).json()).to.equal('off')
    expect(busyLooks).to.equal(-1)
    expect(done).to.deep.equal(['checks true', 'checks false'])
  })

  it('say so when it stays busy', async () => {
    busyLooks = Number.POSITIVE_INFINITY
    expect((await check('off')).statusCode).to.equal(409)
  }).timeout(10_000)

  it('refuse what is no switch', async () => {
    for (const payload of ['', 'perhaps', '{"on": true}', 'on'.repeat(300)])
      expect((await check(payload)).statusCode).to.equal(400)
    expect(done).to.deep.equal([])
  })

  it('make one step at a time, and none while it works', async () => {
    const open = start()
    const step = () => open.inject({ method: 'POST', url: '/step' })
    const both = await Promise.all([step(), step()])
    expect(both.map(({ statusCode }) => statusCode).sort()).to.deep.equal([200, 409])
    busyLooks = 1
    expect((await step()).statusCode).to.equal(409)
    expect((await step()).json()).to.equal(null)
    expect(done).to.deep.equal(['step', 'step'])
  })

  it('are seen to refuse by clients that read only when they have sent all', async () => {
    const url = await start().listen({ port: 0, host: '127.0.0.1' })
    const answer = await sendThenRead(url, ['PUT /check_state HTTP/1.1', 'content-type: text/plain'], Buffer.alloc(1e7))
    expect(answer).to.match(/^HTTP\/1\.1 413 /)
  })
})
