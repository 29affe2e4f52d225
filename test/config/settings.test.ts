import { expect } from 'chai'
import { loadEnvironment } from '../../src/config/load.js'
import { watchEnvironment } from '../../src/config/settings.js'

describe('the settings of a part', () => {
  const watch = (raw: Record<string, string> = {}) => {
    const { environment, sources } = loadEnvironment(raw)
    return watchEnvironment(environment, sources)
  }

  it('are the variables that it has read', () => {
    const { environment, settings } = watch({ LOOP_HOST: 'loop.lab' })
    const { LOOP_HOST: host, LOOP_USERNAME: user } = environment

    expect([host, user]).to.deep.equal(['loop.lab', undefined])
    expect(settings({})).to.deep.equal({ LOOP_HOST: 'loop.lab from LOOP_HOST' })
  })

  it('name the option that replaces a variable, whether that is set or not', () => {
    const { environment, settings } = watch({ NODE_PORT: '80' })
    expect(environment.NODE_PORT).to.equal(80)

    const given = settings({
      NODE_PORT: { option: '--port', value: 0 },
      DATA_FOLDER: { option: '--data', value: '/d' },
      NODE_HOST: { option: '--host', value: undefined },
    })

    expect(given).to.deep.equal({ NODE_PORT: '0 from --port', DATA_FOLDER: '/d from --data' })
  })

  it('show an empty list as none', () => {
    const { environment, settings } = watch()
    expect(environment.LOOPFLEET_ALLOWED_HOSTS).to.deep.equal([])

    expect(settings({})).to.deep.equal({ LOOPFLEET_ALLOWED_HOSTS: 'none by default' })
  })
})
