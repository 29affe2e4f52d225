import { expect } from 'chai'
import { type SimulatedHost, type SimulatedTraining, simulate } from './a-fleet.js'

const SEQUENCES = 500
const TRAINERS = ['shapes', 'pets', 'signs']

describe('sequences of failures', function () {
  this.timeout(300_000)
  const seed = Number(process.env.BLAME_SEED ?? 1)

  it(`blame no healthy machine, fail nothing that a fit machine could finish, and end (BLAME_SEED=${seed})`, () => {
    for (let index = 0; index < SEQUENCES; index += 1) {
      const { hosts, trainings } = aSequence(generator(seed + index))
      const { works, suspended } = simulate(hosts, trainings)
      const what = `BLAME_SEED=${seed + index}: ${JSON.stringify({ hosts, trainings })}`

      const healthy = suspended.filter(({ hostId, suspension: { place } }) => {
        const host = hosts.find((each) => each.hostId === hostId)
        return 'gpu' in place ? host?.brokenGpu !== place.gpu.index : !isBroken(host, place.name)
      })
      expect(healthy, `healthy but suspended, ${what}`).to.deep.equal([])
      for (const { training, outcome, attempts, why } of works) {
        const expected = training.failsOf === undefined ? 'completed' : 'failed'
        expect(outcome, `${training.id} (${why}), ${what}`).to.equal(expected)
        expect(attempts, `attempts at ${training.id}, ${what}`).to.be.at.most(20 + 48)
      }
    }
  })
})

/** A host fails a trainer also if its only GPU, or all that a training was tried on there, is broken. */
function isBroken(host: SimulatedHost | undefined, name: string): boolean {
  if (host === undefined) return false
  return host.brokenTrainers.includes(name) || (host.brokenGpu !== undefined && host.gpus === 1)
}

function aSequence(random: () => number): { hosts: SimulatedHost[]; trainings: SimulatedTraining[] } {
  const chance = (share: number) => random() < share
  const upTo = (most: number) => 1 + Math.floor(random() * most)
  const hosts = Array.from({ length: 1 + upTo(3) }, (_, index): SimulatedHost => {
    const gpus = upTo(3)
    const isSound = index === 0 // some machine has to be, and to be there
    const brokenTrainers = isSound ? [] : chance(0.3) ? TRAINERS : TRAINERS.filter(() => chance(0.15))
    const brokenGpu = gpus > 1 && chance(0.3) ? Math.floor(random() * gpus) : undefined
    return {
      hostId: `h${index}`,
      gpus,
      brokenTrainers,
      brokenGpu,
      awaySeconds: !isSound && chance(0.3) ? upTo(600) : 0,
    }
  })
  const brokenScript = chance(0.4) ? TRAINERS[upTo(3) - 1] : undefined
  const trainings = Array.from({ length: 3 + upTo(12) }, (_, index): SimulatedTraining => {
    const trainer = TRAINERS[upTo(3) - 1] ?? 'shapes'
    const failsOf = trainer === brokenScript || chance(0.07) ? 'script' : chance(0.07) ? 'memory' : undefined
    const epochs = upTo(12)
    const accidents = chance(0.5) ? [{ epoch: upTo(epochs), isTorn: chance(0.5) }] : []
    return { id: `t${index}`, trainer, epochs, failsOf, accidents }
  })
  return { hosts, trainings }
}

/** Mulberry32: the same numbers for the same seed. */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
