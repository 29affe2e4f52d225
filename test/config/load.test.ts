import { expect } from 'chai'
import { InvalidInputError } from '../../src/base/errors.js'
import { loadEnvironment } from '../../src/config/load.js'
import { variables } from '../../src/config/variables.js'

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

  it('tells the source of each value, without secrets', () => {
    const raw = { HOST: 'shell', LOOP_HOST: 'loop.lab', USERNAME: 'ada', PASSWORD: 'lovelace', DATA_FOLDER: '' }
    const { sources } = loadEnvironment(raw)

    expect(sources).to.include({
      LOOP_HOST: 'loop.lab from LOOP_HOST',
      LOOP_USERNAME: 'ada from USERNAME',
      LOOP_PASSWORD: '*** from PASSWORD',
      DATA_FOLDER: 'data by default',
    })
    expect(sources).to.not.have.property('REDIS_URL')
  })

  it('names the older name when its value is not usable', () => {
    expect(() => loadEnvironment({ REDIS_URL: '', LOOPFLEET_THREADS: '0' })).to.throw(/Variable LOOPFLEET_THREADS/)
  })

  it('names the variable and its value when it is not usable', () => {
    expect(() => loadEnvironment({ LOOP_PROTOCOL: '0.9' })).to.throw(InvalidInputError, /LOOP_PROTOCOL: "0\.9"/)
    expect(() => loadEnvironment({ LOOPFLEET_LOCK_MS: 'soon' })).to.throw(InvalidInputError, /LOOPFLEET_LOCK_MS/)
    expect(() => loadEnvironment({ LOOPFLEET_HOST_NAME: 'lab:1' })).to.throw(/letters, digits and dashes/)
  })

  it('treats an empty variable as not set', () => {
    expect(loadEnvironment({ LOOP_USERNAME: '' }).environment.LOOP_USERNAME).to.equal(undefined)
  })

  describe('reads every name that the Python library knows:', () => {
    const names: readonly [name: string, text: string, value: unknown, alias?: string][] = [
      ['LOOP_HOST', 'loop.lab:8080', 'loop.lab:8080', 'HOST'],
      ['LOOP_USERNAME', 'ada', 'ada', 'USERNAME'],
      ['LOOP_PASSWORD', 'lovelace', 'lovelace', 'PASSWORD'],
      ['LOOP_ORGANIZATION', 'acme', 'acme', 'ORGANIZATION'],
      ['LOOP_PROJECT', 'pets', 'pets', 'PROJECT'],
      ['INFERENCE_BATCH_SIZE', '20', 20],
      ['RESTART_AFTER_TRAINING', '1', true],
      ['KEEP_OLD_TRAININGS', '1', true],
      ['LOOP_SSL_CERT_PATH', '/etc/ca.pem', '/etc/ca.pem'],
      ['TRAINER_IDLE_TIMEOUT_SEC', '600', 600],
      ['USE_BACKDOOR_CONTROLS', 'true', true],
      ['SKIP_REPEAT_ON_START', 'True', true],
      ['DATA_FOLDER', '/data', '/data'],
      ['MIN_UNCERTAIN_THRESHOLD', '0.2', 0.2],
      ['MAX_UNCERTAIN_THRESHOLD', '0.7', 0.7],
      ['VERSION_CONTROL_DEFAULT', 'Pause', 'Pause'],
      ['SYNC_CYCLES', '12', 12],
      ['EXCLUSIVE_MODEL_BUILD', '1', true],
    ]

    it('and the list of them here has no older name too few', () => {
      const aliases = Object.entries(variables).flatMap(([name, one]) => ('alias' in one ? [[name, one.alias]] : []))

      expect(names.filter(([, , , alias]) => alias).map(([name, , , alias]) => [name, alias])).to.deep.equal(aliases)
    })

    for (const [name, text, value, alias] of names) {
      it(alias === undefined ? name : `${name}, also as ${alias}`, () => {
        for (const one of alias === undefined ? [name] : [name, alias]) {
          expect(loadEnvironment({ [one]: text }).environment).to.have.property(name, value)
        }
      })
    }

    for (const [name, text, , alias] of names.filter(([, , , alias]) => alias !== undefined)) {
      it(`${name} takes precedence over ${alias}`, () => {
        const { environment, sources } = loadEnvironment({ [alias ?? '']: 'other', [name]: text })

        expect(environment).to.have.property(name, text)
        expect(sources[name]).to.match(new RegExp(`from ${name}$`))
      })
    }
  })

  describe('meets every name of the Python library that is set wrongly with a sentence:', () => {
    const wrong: readonly [set: Record<string, string>, sentence: RegExp][] = [
      [{ LOOP_USERNAME: 'ada' }, /^LOOP_USERNAME is set without LOOP_PASSWORD, .*; set both or none\.$/],
      [{ LOOP_PASSWORD: 'lovelace' }, /^LOOP_PASSWORD is set without LOOP_USERNAME, .*; set both or none\.$/],
      [{ LOOP_ORGANIZATION: 'Acme' }, /^LOOP_ORGANIZATION is "Acme", but .* lower case; set "acme"\.$/],
      [{ PROJECT: 'Pets' }, /^LOOP_PROJECT is "Pets", but .* lower case; set "pets"\.$/],
      [{ INFERENCE_BATCH_SIZE: '1000' }, /^INFERENCE_BATCH_SIZE is 1000, but .* so 100 counts\.$/],
      [{ VERSION_CONTROL_DEFAULT: 'stop' }, /^VERSION_CONTROL_DEFAULT is "stop", .*; set pause or follow_loop\.$/],
      [{ LOOP_HOTS: 'a' }, /^LOOP_HOTS is no variable of loopfleet; set LOOP_HOST if that was meant\.$/],
      [{ RESTART_AFTER_TRAINIG: '1' }, /; set RESTART_AFTER_TRAINING if that was meant\.$/],
    ]
    for (const [set, sentence] of wrong) {
      it(`a warning for ${JSON.stringify(set)}`, () => {
        const { warnings } = loadEnvironment(set)

        expect(warnings).to.have.lengthOf(1)
        expect(warnings[0]).to.match(sentence)
      })
    }

    const unusable: readonly [name: string, value: string][] = [
      ['INFERENCE_BATCH_SIZE', 'many'],
      ['RESTART_AFTER_TRAINING', 'yes'],
      ['KEEP_OLD_TRAININGS', 'yes'],
      ['MIN_UNCERTAIN_THRESHOLD', '30'],
      ['MAX_UNCERTAIN_THRESHOLD', 'high'],
      ['TRAINER_IDLE_TIMEOUT_SEC', '10m'],
      ['USE_BACKDOOR_CONTROLS', 'on'],
      ['SYNC_CYCLES', '0'],
      ['SKIP_REPEAT_ON_START', '2'],
      ['EXCLUSIVE_MODEL_BUILD', 'maybe'],
    ]
    for (const [name, value] of unusable) {
      it(`a refusal for ${name}=${value}, with what it may be`, () => {
        const sentence = new RegExp(`^Variable ${name}: "${value}" is not usable \\(must be `)
        expect(() => loadEnvironment({ [name]: value })).to.throw(InvalidInputError, sentence)
      })
    }

    it('but nothing about what a shell sets for itself', () => {
      const shell = {
        HOSTNAME: 'lab',
        USER: 'ada',
        HOME: '/home/ada',
        PATH: '/bin',
        XDG_DATA_DIRS: '/usr',
        LOOPFLEET_OWNER: 'x',
      }

      expect(loadEnvironment({ ...shell, LOOPFLEET_EVENTS: 'e', LOOPFLEET_WORKSPACE: 'w' }).warnings).to.deep.equal([])
    })
  })

  for (const name of [
    'RESTART_AFTER_TRAINING',
    'KEEP_OLD_TRAININGS',
    'USE_BACKDOOR_CONTROLS',
    'SKIP_REPEAT_ON_START',
  ] as const) {
    it(`takes 1 and true as on, 0 and false as off for ${name}, and says so for anything else`, () => {
      for (const on of ['1', 'true', 'TRUE']) expect(loadEnvironment({ [name]: on }).environment[name]).to.equal(true)
      for (const off of ['0', 'false', '']) expect(loadEnvironment({ [name]: off }).environment[name]).to.equal(false)
      expect(() => loadEnvironment({ [name]: 'yes' })).to.throw(
        InvalidInputError,
        `Variable ${name}: "yes" is not usable (must be 1 or true, or 0 or false).`,
      )
    })
  }

  for (const [name, max] of [
    ['LOOPFLEET_LOCK_MS', 86_400_000],
    ['LOOPFLEET_LEND_PLACE_SECONDS', 86_400],
    ['LOOPFLEET_CHECKPOINT_SECONDS', 86_400],
  ] as const) {
    it(`takes no ${name} that is longer than a timer can be`, () => {
      expect(loadEnvironment({ [name]: String(max) }).environment[name]).to.equal(max)
      expect(() => loadEnvironment({ [name]: '99999999999' })).to.throw(InvalidInputError, `to ${max})`)
    })
  }

  for (const [name, min] of [
    ['INFERENCE_BATCH_SIZE', 1],
    ['TRAINER_IDLE_TIMEOUT_SEC', 0],
    ['LOOPFLEET_KEEP_FAILED_DAYS', 0],
    ['LOOPFLEET_MAX_WORKSPACE_BYTES', 0],
    ['LOOPFLEET_LOCK_MS', 1000],
  ] as const) {
    it(`says which whole numbers ${name} may be`, () => {
      for (const bad of ['soon', '1.5', '-1', '5 s', 'Infinity']) {
        const sentence = `Variable ${name}: "${bad}" is not usable (must be a whole number from ${min}`
        expect(() => loadEnvironment({ [name]: bad }), bad).to.throw(InvalidInputError, sentence)
      }
    })
  }

  it('warns of half a login', () => {
    expect(loadEnvironment({ LOOP_USERNAME: 'ada' }).warnings).to.have.lengthOf(1)
    expect(loadEnvironment({ PASSWORD: 'lovelace' }).warnings).to.deep.equal([
      'LOOP_PASSWORD is set without LOOP_USERNAME, so there is no login; set both or none.',
    ])
    expect(loadEnvironment({ LOOP_USERNAME: 'ada', LOOP_PASSWORD: 'lovelace' }).warnings).to.deep.equal([])
  })

  it('warns of batches that are larger than the Loop takes', () => {
    expect(loadEnvironment({ INFERENCE_BATCH_SIZE: '100' }).warnings).to.deep.equal([])
    expect(loadEnvironment({ INFERENCE_BATCH_SIZE: '200' }).warnings).to.deep.equal([
      'INFERENCE_BATCH_SIZE is 200, but the Loop takes 100 in one upload, so 100 counts.',
    ])
    expect(loadEnvironment({ INFERENCE_BATCH_SIZE: '11', LOOP_PROTOCOL: '0.8' }).warnings[0]).to.include('so 10 counts')
  })
})
