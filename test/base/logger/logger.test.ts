import { Writable } from 'node:stream'
import { expect } from 'chai'
import { createLogger } from '../../../src/base/logger/logger.js'

describe('A logger', () => {
  function logged(write: (log: ReturnType<typeof createLogger>) => void): string {
    const lines: string[] = []
    const destination = new Writable({
      write(chunk, _encoding, done) {
        lines.push(String(chunk))
        done()
      },
    })
    write(createLogger({ destination }))
    return lines.join('')
  }

  it('masks the password of an address, in a text, a field, an error and deep inside', () => {
    const proxy = 'http://me:s3cret+p%40ss@proxy.example:3128/'

    const line = logged((log) => {
      log.info({ proxy, env: { all: { https_proxy: [proxy] } } }, `download by ${proxy}`)
      log.error({ err: new Error(`Cannot connect to ${proxy}`) }, 'failed')
    })

    expect(line)
      .to.contain('http://me:***@proxy.example:3128/')
      .and.not.to.contain('s3cret')
      .and.not.to.contain('p%40ss')
    for (const each of line.trim().split('\n')) expect(() => JSON.parse(each)).not.to.throw()
  })

  it('masks a password with an @ and one without a user', () => {
    const line = logged((log) => log.info({ a: 'redis://:p@ss@host:6379/0', b: 'socks5h://me:p:ss@host' }, 'connected'))

    expect(line).to.contain('redis://:***@host:6379/0').and.to.contain('socks5h://me:***@host')
  })

  it('leaves addresses without a password and times as they are', () => {
    const texts = ['http://127.0.0.1:8080/a@b', 'see https://docs.example/x, or mail me@host.example at 12:30']

    const line = logged((log) => log.info({ texts }, 'started'))

    expect(JSON.parse(line).texts).to.deep.equal(texts)
  })

  it('writes every key once, with the innermost value', () => {
    const line = logged((log) => {
      const child = log.child({ component: 'worker', run: 1 }).child({ component: 'stage', stage: 'train' })
      child.child({ component: 'program' }).info({ run: 2, msgs: ['"component":"x"'] }, 'said "component":"y" \u2028')
      child.error({ err: new Error('of "run":3') }, 'failed')
    })

    const [first = '', second = '', ...others] = line.split('\n')
    expect(others).to.deep.equal([''])
    expect(first.match(/[,{]"(?:component|run|stage)":/g)).to.have.lengthOf(3)
    expect(JSON.parse(first)).to.include({
      level: 30,
      component: 'program',
      stage: 'train',
      run: 2,
      msg: 'said "component":"y" \u2028',
    })
    expect(JSON.parse(second)).to.include({ component: 'stage', run: 1, msg: 'failed' })
  })
})
