import { expect } from 'chai'
import { createPlaces } from '../../src/workers/places.js'

describe('the places of a host', () => {
  it('are lent until none is left, and again when one comes back', () => {
    const places = createPlaces(2, () => undefined)

    expect([places.tryTake(), places.tryTake(), places.tryTake()]).to.deep.equal([true, true, false])
    expect(places.free).to.equal(0)

    places.release()

    expect(places.free).to.equal(1)
    expect(places.tryTake()).to.equal(true)
  })

  it('tell how many are free after each change, and nothing when none was to be had', () => {
    const heard: number[] = []
    const places = createPlaces(1, (free) => heard.push(free))

    places.tryTake()
    places.tryTake()
    places.release()

    expect(heard).to.deep.equal([0, 1])
  })
})
