import { expect } from 'chai'
import { startLoop, type TestLoop } from './start-loop.js'

describe('the login of the local Loop', () => {
  const login = (loop: TestLoop, username: string, password: string) =>
    loop.call('POST', '/api/login', new URLSearchParams({ username, password }))

  it('is not needed without credentials, and any succeeds', async () => {
    const loop = await startLoop()
    try {
      const answer = await login(loop, '', '')

      expect(answer.status).to.equal(200)
      expect(answer.headers.get('set-cookie')).to.match(/^token=/)
      expect((await loop.call('GET', '/api/projects')).status).to.equal(200)
      await loop.connect('trainer')
    } finally {
      await loop.remove()
    }
  })

  describe('with credentials', () => {
    let loop: TestLoop
    before(async () => {
      loop = await startLoop({ username: 'me', password: 'secret' })
    })
    after(() => loop.remove())

    const cookieOf = async () => (await login(loop, 'me', 'secret')).headers.get('set-cookie')?.split(';')[0] ?? ''

    it('opens what needs it until the sessions expire', async () => {
      const cookie = await cookieOf()

      expect((await loop.call('GET', '/api/projects')).status).to.equal(401)
      expect((await loop.call('GET', '/api/projects', undefined, { cookie })).status).to.equal(200)
      loop.expireSessions()
      expect((await loop.call('GET', '/api/projects', undefined, { cookie })).status).to.equal(401)
    })

    it('refuses a wrong and an empty login', async () => {
      expect((await login(loop, 'me', 'wrong')).status).to.equal(401)
      expect((await login(loop, '', '')).status).to.equal(401)
    })

    it('is not needed for status, model files and images of an outbox', async () => {
      const model = '/api/zauberzeug/projects/demo/models/00000000-0000-0000-0000-000000000011/mocked/file'

      expect((await loop.call('GET', '/api/status')).status).to.equal(200)
      expect((await loop.call('GET', model)).status).to.equal(200)
      expect((await loop.call('POST', '/api/zauberzeug/projects/demo/images', new FormData())).status).to.equal(422)
    })

    it('is needed by the sockets of trainers but not of detectors', async () => {
      const refused = await loop.connect('trainer').then(
        () => false,
        () => true,
      )

      expect(refused).to.equal(true)
      await loop.connect('detector')
      await loop.connect('trainer', { cookie: await cookieOf() })
    })

    it('can be given as basic authentication to the control API only', async () => {
      const authorization = `Basic ${Buffer.from('me:secret').toString('base64')}`

      expect((await loop.call('GET', '/api/local/nodes', undefined, { authorization })).status).to.equal(200)
      expect((await loop.call('GET', '/api/projects', undefined, { authorization })).status).to.equal(401)
    })
  })
})
