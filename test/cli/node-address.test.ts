import { expect } from 'chai'
import { nodeAddress, withoutNodeAddress } from '../../src/cli/node-address.js'
import { loadEnvironment } from '../../src/config/load.js'

describe('the address of a node', () => {
  const { environment } = loadEnvironment({ NODE_HOST: '0.0.0.0', NODE_PORT: '8080' })

  it('is that of NODE_HOST and NODE_PORT', () => {
    expect(nodeAddress({}, environment)).to.deep.equal({ port: 8080, host: '0.0.0.0' })
  })

  it('is that of the flags before those variables', () => {
    expect(nodeAddress({ port: 0, host: '::1' }, environment)).to.deep.equal({ port: 0, host: '::1' })
    expect(nodeAddress({ port: 9000 }, environment)).to.deep.equal({ port: 9000, host: '0.0.0.0' })
  })

  it('has no port without either, and is bound to this machine', () => {
    const bare = loadEnvironment({}).environment

    expect(nodeAddress({}, bare)).to.deep.equal({ port: undefined, host: '127.0.0.1' })
  })

  it('refuses a NODE_PORT that is none, and a MAX_OUTBOX_SIZE of nothing', () => {
    for (const [name, value] of [
      ['NODE_PORT', 'http'],
      ['NODE_PORT', '70000'],
      ['MAX_OUTBOX_SIZE', '0'],
      ['MAX_OUTBOX_SIZE', '-5'],
    ] as const) {
      expect(() => loadEnvironment({ [name]: value }), `${name}=${value}`).to.throw(`Variable ${name}: "${value}"`)
    }
  })

  it('does not reach the parts of up and demo, which would all take the same port', () => {
    expect(withoutNodeAddress({ NODE_HOST: '0.0.0.0', NODE_PORT: '8080', PATH: '/bin' })).to.deep.equal({
      PATH: '/bin',
    })
  })
})
