import { expect } from 'chai'
import { createPlaces } from '../../../src/workers/engine/places.js'

describe('the places of a host', () => {
  it('are lent until none is left, and again when one comes back', () => {
    const places = createPlaces(2, () => undefined)

    const taken = [places.tryTake(), places.tryTake(), places.tryTake()]
    expect(taken.map((place) => place !== undefined)).to.deep.equal([true, true, false])
    expect(places.free).to.equal(0)

    taken[0]?.release()
    taken[0]?.release()

    expect(places.free).to.equal(1)
    expect(places.tryTake()).not.to.equal(undefined)
  })

  it('may be lent to another training and are had back immediately', () => {
    const places = createPlaces(1, () => undefined)
    const first = places.tryTake()

    expect(first?.lend()).to.equal(true)
    const second = places.tryTake()
    expect({ free: places.free, lent: places.lent }).to.deep.equal({ free: 0, lent: 1 })
    first?.takeBack()

    expect({ free: places.free, lent: places.lent }).to.deep.equal({ free: 0, lent: 0 })
    first?.release()
    expect(places.free).to.equal(0)
    second?.release()
    expect(places.free).to.equal(1)
  })

  it('are lent as often as there are places, so that a host does not gather trainings while the Loop is away', () => {
    const places = createPlaces(1, () => undefined)

    const lent = [places.tryTake()?.lend(), places.tryTake()?.lend()]

    expect(lent).to.deep.equal([true, false])
    expect(places.tryTake()).to.equal(undefined)
  })

  it('tell how many are free after each change, and nothing when none was to be had', () => {
    const heard: number[] = []
    const places = createPlaces(1, () => heard.push(places.free))

    const place = places.tryTake()
    places.tryTake()
    place?.release()

    expect(heard).to.deep.equal([0, 1])
  })
})
