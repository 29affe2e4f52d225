import { expect } from 'chai'
import { inBatches } from '../../src/base/in-batches.js'
import { rejection } from '../helpers/rejection.js'

describe('items in batches', () => {
  it('come together when they came while their reader was busy, in order and all of them', async () => {
    let release: () => void = () => undefined
    const wait = new Promise<void>((resolve) => (release = resolve))
    async function* source() {
      yield* [1, 2, 3]
      await wait
      yield* [4, 5]
    }

    const batches: number[][] = []
    for await (const batch of inBatches(source())) {
      batches.push(batch)
      release()
    }

    expect(batches).to.deep.equal([
      [1, 2, 3],
      [4, 5],
    ])
  })

  it('are all handed over before the error of their source', async () => {
    async function* source() {
      yield 1
      throw new Error('disk is gone')
    }
    const reader = inBatches(source())

    expect(await reader.next()).to.deep.equal({ done: false, value: [1] })
    expect((await rejection(reader.next())).message).to.equal('disk is gone')
  })

  it('end with their source', async () => {
    async function* source() {
      yield* [] as number[]
    }

    expect(await inBatches(source()).next()).to.deep.equal({ done: true, value: undefined })
  })
})
