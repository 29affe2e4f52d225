import { expect } from 'chai'
import fc from 'fast-check'
import type { Entry } from '../../../src/detector/outbox/entries.js'
import { createWaitingImages, type WaitingImages } from '../../../src/detector/outbox/waiting-images.js'

const LIMITS = { maxImages: 6, maxBytes: 100 }

describe('the waiting images of an outbox', () => {
  it('stays within its limits and its own count, whatever is put, sent, failed and taken off', () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constant('put' as const),
        bytes: fc.integer({ min: 1, max: 110 }),
        isPriority: fc.boolean(),
      }),
      fc.record({ kind: fc.constantFrom('fail' as const), bytes: fc.integer({ min: 1, max: 110 }) }),
      fc.record({ kind: fc.constantFrom('take' as const), count: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ kind: fc.constantFrom('sent' as const, 'release' as const) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const waiting = createWaitingImages(LIMITS, [])
        const there = new Set<Entry>()
        let held: Entry[] = []
        for (const [number, each] of steps.entries()) {
          if (each.kind === 'put') {
            const added = entry(number, each.bytes, each.isPriority)
            const gone = waiting.reserve(each.bytes, each.isPriority)?.commit(added)
            if (gone === undefined) continue
            there.add(added)
            for (const dropped of gone) {
              expect(there.delete(dropped)).to.equal(true)
              expect(held, 'what is being sent stays').not.to.include(dropped)
              expect(each.isPriority || !dropped.isPriority, 'no priority image goes for a normal one').to.equal(true)
            }
          } else if (each.kind === 'fail') {
            waiting.reserve(each.bytes, true)?.cancel()
          } else if (each.kind === 'take') {
            held = [...held, ...waiting.next(each.count)]
          } else {
            if (each.kind === 'sent') for (const one of held) there.delete(one)
            if (each.kind === 'sent') for (const one of held) waiting.remove(one)
            else waiting.release(held)
            held = []
          }
          const { normal, priority, bytes } = waiting.figures()
          expect(normal + priority).to.equal(there.size)
          expect(bytes).to.equal([...there].reduce((sum, one) => sum + one.bytes, 0))
          expect(there.size).to.be.at.most(LIMITS.maxImages)
          expect(bytes).to.be.at.most(LIMITS.maxBytes)
          expect(waiting.sendable()).to.equal(there.size - held.length)
        }
      }),
    )
  })

  it('gives what is to come last alone, and only when nothing else is there', () => {
    const waiting = createWaitingImages(LIMITS, [entry(0), entry(1), entry(2)])
    const takeAll = () => {
      const taken = waiting.next(9)
      waiting.release(taken)
      return taken
    }
    const [first, second] = takeAll()
    if (first === undefined || second === undefined) throw new Error('there is too little')

    waiting.putLast(first)
    waiting.putLast(second)
    const others = takeAll()
    for (const one of others) waiting.remove(one)
    const next = takeAll()
    waiting.putLast(first) // it failed once more

    expect(others.map(({ name }) => name)).to.deep.equal(['2'])
    expect(next.map(({ name }) => name)).to.deep.equal(['0'])
    expect(takeAll().map(({ name }) => name)).to.deep.equal(['1'])
    expect(waiting.sendable()).to.equal(0)
  })

  it('keeps room for what is being written', () => {
    const waiting = createWaitingImages({ maxImages: 2, maxBytes: 100 }, [entry(0), entry(1)])
    const reservations = [waiting.reserve(10, false), waiting.reserve(10, false), waiting.reserve(10, false)]

    expect(reservations.map((reservation) => reservation === undefined)).to.deep.equal([false, false, true])
    expect(commit(reservations[0], entry(2))).to.deep.equal(['0'])
    expect(commit(reservations[1], entry(3))).to.deep.equal(['1'])
    expect(waiting.next(9).map(({ name }) => name)).to.deep.equal(['2', '3'])
  })

  it('puts back in their order those who were to go for an image that failed', () => {
    const waiting = createWaitingImages({ maxImages: 3, maxBytes: 100 }, [entry(2), entry(0), entry(1)])

    waiting.reserve(10, false)?.cancel()

    expect(waiting.next(9).map(({ name }) => name)).to.deep.equal(['0', '1', '2'])
  })

  it('orders by names, not by when images were done with writing', () => {
    const waiting = createWaitingImages(LIMITS, [])
    for (const number of [3, 1, 2]) commit(waiting.reserve(10, false), entry(number))
    commit(waiting.reserve(10, true), entry(9, 10, true))

    expect(waiting.next(9).map(({ name }) => name)).to.deep.equal(['9', '1', '2', '3'])
  })
})

function entry(number: number, bytes = 10, isPriority = false): Entry {
  return { name: `${number}`, folder: `/${isPriority ? 'priority' : 'normal'}/${number}`, isPriority, bytes }
}

function commit(reservation: ReturnType<WaitingImages['reserve']>, added: Entry): string[] {
  return (reservation?.commit(added) ?? []).map(({ name }) => name)
}
