import { expect } from 'chai'
import { InvalidInputError } from '../../src/base/errors.js'
import { loadEnvironment } from '../../src/config/load.js'

describe('the environment', () => {
  it('has usable defaults when nothing is set', () => {
    const { environment, warnings } = loadEnvironment({})

    expect(environment).to.include({ LOOP_HOST: 'learning-loop.ai', LOOP_PROTOCOL: 'current', DATA_FOLDER: 'data' })
    expect(environment.LOOP_PASSWORD).to.equal(undefined)
    expect(warnings).to.deep.equal([])
  })

  it('reads the older name of a variable', () => {
    expect(loadEnvironment({ HOST: 'loop.lab:8080' }).environment.LOOP_HOST).to.equal('loop.lab:8080')
  })

  it('takes the same value under both names as one', () => {
    const { environment, warnings } = loadEnvironment({ HOST: 'a', LOOP_HOST: 'a' })

    expect(environment.LOOP_HOST).to.equal('a')
    expect(warnings).to.deep.equal([])
  })

  it('counts two different values as none and says so', () => {
    const { environment, warnings } = loadEnvironment({ USERNAME: 'root', LOOP_USERNAME: 'lab' })

    expect(environment.LOOP_USERNAME).to.equal(undefined)
    expect(warnings).to.deep.equal(['LOOP_USERNAME and USERNAME have different values, so neither counts; unset one.'])
  })

  it('names the variable and its value when it is not usable', () => {
    expect(() => loadEnvironment({ LOOP_PROTOCOL: '0.9' })).to.throw(InvalidInputError, /LOOP_PROTOCOL: "0\.9"/)
    expect(() => loadEnvironment({ LOOPFLEET_LOCK_MS: 'soon' })).to.throw(InvalidInputError, /LOOPFLEET_LOCK_MS/)
    expect(() => loadEnvironment({ LOOPFLEET_HOST_NAME: 'lab:1' })).to.throw(/letters, digits and dashes/)
  })

  it('treats an empty variable as not set', () => {
    expect(loadEnvironment({ LOOP_USERNAME: '' }).environment.LOOP_USERNAME).to.equal(undefined)
  })
})
