import { expect } from 'chai'
import { BundleSize } from '../../../src/inference/pool/bundle-size.js'

describe('The size of a bundle', () => {
  it('is one image until it is known that they are quick', () => {
    const size = new BundleSize()
    expect(size.most).to.equal(1)

    size.learn(1, 0.2)

    expect(size.most).to.equal(10)
  })

  it('is one for what takes long, and has an end for what takes no time', () => {
    const size = new BundleSize()
    size.learn(4, 20)
    expect(size.most).to.equal(1)

    for (let run = 0; run < 200; run += 1) size.learn(4, 0)

    expect(size.most).to.equal(16)
  })

  it('falls immediately with one slow run, and rises again little by little', () => {
    const size = new BundleSize()
    size.learn(1, 0.1)

    size.learn(10, 100)
    expect(size.most).to.equal(1)
    size.learn(1, 0.1)
    expect(size.most).to.equal(1)

    let runs = 0
    for (; size.most < 8; runs += 1) size.learn(1, 0.1)
    expect(runs).to.be.within(10, 100)
  })
})
