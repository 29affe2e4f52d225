import { expect } from 'chai'
import fc from 'fast-check'
import type { Entry } from '../../../src/detector/outbox/entries.js'
import { type Claim, createShelf } from '../../../src/detector/outbox/shelf.js'

const LIMITS = { maxImages: 6, maxBytes: 100 }

describe('the shelf of an outbox', () => {
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
        const shelf = createShelf(LIMITS, [])
        const there = new Set<Entry>()
        let held: Entry[] = []
        for (const [number, each] of steps.entries()) {
          if (each.kind === 'put') {
            const added = entry(number, each.bytes, each.isPriority)
            const gone = shelf.claim(each.bytes, each.isPriority)?.fulfil(added)
            if (gone === undefined) continue
            there.add(added)
            for (const dropped of gone) {
              expect(there.delete(dropped)).to.equal(true)
              expect(held, 'what is being sent stays').not.to.include(dropped)
              expect(each.isPriority || !dropped.isPriority, 'no priority image goes for a normal one').to.equal(true)
            }
          } else if (each.kind === 'fail') {
            shelf.claim(each.bytes, true)?.cancel()
          } else if (each.kind === 'take') {
            held = [...held, ...shelf.take(each.count)]
          } else {
            if (each.kind === 'sent') for (const one of held) there.delete(one)
            if (each.kind === 'sent') for (const one of held) shelf.remove(one)
            else shelf.release(held)
            held = []
          }
          const { normal, priority, bytes } = shelf.figures()
          expect(normal + priority).to.equal(there.size)
          expect(bytes).to.equal([...there].reduce((sum, one) => sum + one.bytes, 0))
          expect(there.size).to.be.at.most(LIMITS.maxImages)
          expect(bytes).to.be.at.most(LIMITS.maxBytes)
          expect(shelf.free()).to.equal(there.size - held.length)
        }
      }),
    )
  })

  it('gives what is to come last alone, and only when nothing else is there', () => {
    const shelf = createShelf(LIMITS, [entry(0), entry(1), entry(2)])
    const takeAll = () => {
      const taken = shelf.take(9)
      shelf.release(taken)
      return taken
    }
    const [first, second] = takeAll()
    if (first === undefined || second === undefined) throw new Error('there is too little')

    shelf.putLast(first)
    shelf.putLast(second)
    const others = takeAll()
    for (const one of others) shelf.remove(one)
    const next = takeAll()
    shelf.putLast(first) // it failed once more

    expect(others.map(({ ident }) => ident)).to.deep.equal(['2'])
    expect(next.map(({ ident }) => ident)).to.deep.equal(['0'])
    expect(takeAll().map(({ ident }) => ident)).to.deep.equal(['1'])
    expect(shelf.free()).to.equal(0)
  })

  it('keeps room for what is being written', () => {
    const shelf = createShelf({ maxImages: 2, maxBytes: 100 }, [entry(0), entry(1)])
    const claims = [shelf.claim(10, false), shelf.claim(10, false), shelf.claim(10, false)]

    expect(claims.map((claim) => claim === undefined)).to.deep.equal([false, false, true])
    expect(fulfil(claims[0], entry(2))).to.deep.equal(['0'])
    expect(fulfil(claims[1], entry(3))).to.deep.equal(['1'])
    expect(shelf.take(9).map(({ ident }) => ident)).to.deep.equal(['2', '3'])
  })

  it('puts back in their order those who were to go for an image that failed', () => {
    const shelf = createShelf({ maxImages: 3, maxBytes: 100 }, [entry(2), entry(0), entry(1)])

    shelf.claim(10, false)?.cancel()

    expect(shelf.take(9).map(({ ident }) => ident)).to.deep.equal(['0', '1', '2'])
  })

  it('orders by names, not by when images were done with writing', () => {
    const shelf = createShelf(LIMITS, [])
    for (const number of [3, 1, 2]) fulfil(shelf.claim(10, false), entry(number))
    fulfil(shelf.claim(10, true), entry(9, 10, true))

    expect(shelf.take(9).map(({ ident }) => ident)).to.deep.equal(['9', '1', '2', '3'])
  })
})

function entry(number: number, bytes = 10, isPriority = false): Entry {
  return { ident: `${number}`, folder: `/${isPriority ? 'priority' : 'normal'}/${number}`, isPriority, bytes }
}

function fulfil(claim: Claim | undefined, added: Entry): string[] {
  return (claim?.fulfil(added) ?? []).map(({ ident }) => ident)
}
