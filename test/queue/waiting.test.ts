import { expect } from 'chai'
import { isUnserved } from '../../src/queue/waiting.js'

const training = { life: 'waiting', trainer: 'shapes' } as const
const host = { isAlive: true, isDraining: false, trainers: ['other', 'shapes'] }

describe('a waiting training', () => {
  for (const [title, hosts] of [
    ['there is no host', []],
    ['no host serves its trainer', [{ ...host, trainers: ['shapes-2'] }]],
    ['the hosts that serve it are offline', [{ ...host, isAlive: false }]],
    ['the hosts that serve it are draining', [{ ...host, isDraining: true }]],
  ] as const) {
    it(`is served by no host when ${title}`, () => {
      expect(isUnserved(training, hosts)).to.equal(true)
    })
  }

  it('is served when one of the hosts takes its trainings, also if that host is busy', () => {
    expect(isUnserved(training, [{ ...host, isAlive: false }, host])).to.equal(false)
  })

  it('is none once a host has it or it has ended', () => {
    expect(isUnserved({ ...training, life: 'claimed' }, [])).to.equal(false)
    expect(isUnserved({ ...training, life: 'ended' }, [])).to.equal(false)
  })
})
