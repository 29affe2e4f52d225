import { expect } from 'chai'
import { type Arena, openArena, SHORT } from '../faults/arena.js'
import { replayCommand, sampleOfCells } from '../faults/cells.js'

const SEED = Number(process.env.LOOPFLEET_TEST_SEED ?? 20261122)

/** A part of `npm run test:faults`, in which every stage and every fault comes once at least. */
describe('a training to which something happens', function () {
  this.timeout(120_000)
  let arena: Arena

  before(async () => {
    arena = await openArena(SHORT)
  })
  after(async () => arena?.close())

  for (const cell of sampleOfCells(SEED)) {
    it(`finishes with one model and every detection once: ${cell.fault} in ${cell.stage}`, async () => {
      const { problems } = await arena.round(cell)

      expect(problems, replayCommand(cell, { short: true })).to.deep.equal([])
    })
  }
})
