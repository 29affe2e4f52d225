import { expect } from 'chai'
import { isUnserved } from '../../src/queue/waiting.js'

const training = { endedAt: null, run: 0, trainer: 'shapes' } as const
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

  it('is none once a host has begun it or it has ended', () => {
    expect(isUnserved({ ...training, run: 1 }, [])).to.equal(false)
    expect(isUnserved({ ...training, endedAt: 1 }, [])).to.equal(false)
  })

  it('is one on records as long as no host has it, also after it was handed back', () => {
    expect(isUnserved({ ...training, run: 2, life: 'waiting' }, [])).to.equal(true)
    expect(isUnserved({ ...training, run: 2, life: 'claimed' }, [])).to.equal(false)
    expect(isUnserved({ ...training, run: 2, endedAt: 1, life: 'ended' }, [])).to.equal(false)
  })
})
