import { request } from 'node:http'
import { expect } from 'chai'
import { checkAccess } from '../../src/dashboard/access.js'
import { sendThenRead } from '../helpers/send-then-read.js'
import { type DashboardFixture, startDashboardFixture } from './dashboard-fixture.js'

const token = 'a-long-enough-token'

describe('access to the dashboard', () => {
  let dashboard: DashboardFixture
  before(async () => {
    dashboard = await startDashboardFixture()
  })
  after(() => dashboard.close())

  for (const host of ['0.0.0.0', '::', '192.168.1.5', 'lab.example.com', '127.0.0.1.example.com']) {
    it(`refuses to bind to ${host} without a token`, () => {
      expect(() => checkAccess({ host })).to.throw(`A dashboard on ${host} could be used by everybody`)
      expect(() => checkAccess({ host, token })).not.to.throw()
    })
  }

  for (const host of ['127.0.0.1', '127.0.0.2', 'localhost', '::1']) {
    it(`binds to ${host} without a token`, () => {
      expect(() => checkAccess({ host })).not.to.throw()
    })
  }

  it('is seen to be refused by clients that read only when they have sent all', async () => {
    const answer = await sendThenRead(
      dashboard.url,
      ['POST /api/hosts HTTP/1.1', 'origin: http://evil.example'],
      Buffer.alloc(1e7),
    )

    expect(answer).to.match(/^HTTP\/1\.1 403 /)
  })

  describe('by pages in a browser', () => {
    const hostile: Record<string, string>[] = [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { origin: 'not an origin' },
      { origin: 'http://127.0.0.1:1' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
    ]
    for (const headers of hostile) {
      it(`refuses a POST with ${JSON.stringify(headers)}`, async () => {
        const { id } = await dashboard.order({ project: `p${hostile.indexOf(headers)}` }, seatOf(headers))

        const { status } = await send(dashboard.url, `/api/trainings/${id}/abort`, 'POST', headers)

        expect(status).to.equal(403)
        expect(await dashboard.trainings.load(id)).to.include({ outcome: null })
      })
    }

    it('obeys its own page', async () => {
      const { id } = await dashboard.order({ project: 'own' }, { uuid: 'own', name: 'own' })
      const headers = { origin: dashboard.url, 'sec-fetch-site': 'same-origin' }

      const { status } = await send(dashboard.url, `/api/trainings/${id}/abort`, 'POST', headers)

      expect(status).to.equal(200)
    })

    it('is not reached by a foreign name that points to this machine', async () => {
      for (const path of ['/', '/api/fleet', '/queues']) {
        const { status, body } = await send(dashboard.url, path, 'GET', { host: 'evil.example:9090' })
        expect(status).to.equal(403)
        expect(body).to.match(/evil\.example:9090/)
      }
    })
  })

  describe('with a token', () => {
    let url: string
    before(async () => {
      url = await dashboard.another({ token })
    })

    for (const path of [
      '/',
      '/api/fleet',
      '/queues',
      '/queues/api/queues',
      '/queues/static/images/logo.svg',
      '/nothing',
    ]) {
      it(`is asked for at ${path}`, async () => {
        const { status, body } = await send(url, path, 'GET')
        expect(status).to.equal(401)
        expect(body).to.match(/token is needed/)
      })
    }

    for (const wrong of ['Bearer wrong', 'Bearer ', `Basic ${token}`, `Bearer ${token}x`, token]) {
      it(`refuses the authorization ${JSON.stringify(wrong)}`, async () => {
        expect((await send(url, '/api/fleet', 'GET', { authorization: wrong })).status).to.equal(401)
      })
    }

    it('lets in who sends it as Bearer, whatever name the dashboard is reached by', async () => {
      const headers = { authorization: `Bearer ${token}`, host: 'fleet.example.com' }
      expect((await send(url, '/api/fleet', 'GET', headers)).status).to.equal(200)
    })

    it('takes it once from the address and keeps it as a cookie that does not tell it', async () => {
      const first = await send(url, `/queues?x=1&token=${token}`, 'GET')
      const cookie = String(first.headers['set-cookie'])

      expect(first.status).to.equal(303)
      expect(first.headers.location).to.equal('/queues?x=1')
      expect(cookie)
        .to.match(/HttpOnly/)
        .and.not.contain(token)
      const second = await send(url, '/queues', 'GET', { cookie: cookie.split(';')[0] ?? '' })
      expect(second.status).to.equal(200)
    })

    it('stays on this server when the path tries to lead away', async () => {
      const { headers } = await send(url, `//evil.example/?token=${token}`, 'GET')
      expect(headers.location ?? '/').to.match(/^\/(?!\/)/)
    })

    it('refuses another one in the address', async () => {
      expect((await send(url, '/?token=wrong', 'GET')).status).to.equal(401)
    })
  })
})

function seatOf(headers: object) {
  return { uuid: JSON.stringify(headers), name: 'seat' }
}

/** As fetch, which would not send these headers. */
function send(url: string, path: string, method: string, headers: Record<string, string> = {}) {
  const { hostname, port } = new URL(url)
  return new Promise<{ status: number; headers: Record<string, unknown>; body: string }>((resolve, reject) => {
    const sent = request({ hostname, port, path, method, headers, agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        body += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }))
    })
    sent.on('error', reject)
    sent.end()
  })
}
