import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { createPlaceLending } from '../../../src/workers/engine/place-lending.js'
import { createPlaces } from '../../../src/workers/engine/places.js'
import { until } from '../../helpers/until.js'

const LEND_AFTER_MS = 20

describe('the lending of a place', () => {
  function aTraining(total = 1) {
    const places = createPlaces(total, () => undefined)
    const place = places.tryTake()
    if (place === undefined) throw new Error('No place is free.')
    return { places, placeLending: createPlaceLending({ lendAfterMs: LEND_AFTER_MS }, { place, log: silentLogger() }) }
  }

  it('lends its place when it waits, until all that waited gets on', async () => {
    const { places, placeLending } = aTraining()

    placeLending.onWaiting('download-data')
    placeLending.onWaiting('download-model')
    await until('it is lent', () => places.lent === 1)
    placeLending.onProgress('download-data')
    const afterOne = places.lent
    placeLending.onProgress('download-model')

    expect([afterOne, places.lent, places.free]).to.deep.equal([1, 0, 0])
  })

  it('keeps the place when it makes progress in time', async () => {
    const { places, placeLending } = aTraining()

    placeLending.onWaiting('upload-model')
    placeLending.onProgress('upload-model')
    await sleep(3 * LEND_AFTER_MS) // nothing is to happen meanwhile

    expect(places.lent).to.equal(0)
  })

  it('lends the place later when too many are lent already', async () => {
    const { places, placeLending } = aTraining(2)
    const others = [places.tryTake(), undefined]
    others[0]?.lend()
    others[1] = places.tryTake()
    others[1]?.lend()

    placeLending.onWaiting('detect')
    await sleep(2 * LEND_AFTER_MS) // nothing is to happen meanwhile
    const before = places.lent
    others[0]?.takeBack()
    await until('it is lent', () => places.lent === 2)

    expect(before).to.equal(2)
    placeLending.end()
  })
})
