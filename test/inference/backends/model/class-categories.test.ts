import { expect } from 'chai'
import { toClassCategories } from '../../../../src/inference/backends/model/class-categories.js'

const categories = ['cat', 'dog', 'bird'].map((name) => ({ id: `id-${name}`, name, type: 'box' }))
const isNew = { wasServed: false }

function idsOf(names: readonly string[] | undefined, of = categories, options = isNew) {
  return toClassCategories(names, of, options).categories.map(({ id }) => id)
}

describe('the classes of a model', () => {
  it('are the categories of its model.json, where the model itself names none', () => {
    expect(idsOf(undefined)).to.deep.equal(['id-cat', 'id-dog', 'id-bird'])
  })

  it('are the categories of their names, in whatever order', () => {
    expect(idsOf(['bird', 'cat', 'dog'])).to.deep.equal(['id-bird', 'id-cat', 'id-dog'])
  })

  it('may be fewer than the categories, and two may be one category', () => {
    expect(idsOf(['dog'])).to.deep.equal(['id-dog'])
    expect(idsOf(['dog', 'cat', 'dog'])).to.deep.equal(['id-dog', 'id-cat', 'id-dog'])
  })

  it('may be named by the ids of the categories', () => {
    expect(idsOf(['id-dog', 'id-cat'])).to.deep.equal(['id-dog', 'id-cat'])
  })

  it('keep their order where two categories have one name and the order is that of model.json', () => {
    const twins = [...categories, { id: 'id-other-cat', name: 'cat', type: 'point' }]

    expect(idsOf(['cat', 'dog', 'bird', 'cat'], twins)).to.deep.equal(['id-cat', 'id-dog', 'id-bird', 'id-other-cat'])
    expect(() => idsOf(['dog', 'cat'], twins)).to.throw('which several categories of its model.json have')
  })

  for (const names of [
    ['cat', 'dog', 'fish'],
    ['Cat', 'dog', 'bird'],
    ['cat', 'dog', 'bird', 'class3'],
    ['class0'],
    [''],
  ]) {
    it(`are refused when they are named ${JSON.stringify(names)}, unless the model has been served`, () => {
      const served = toClassCategories(names, categories, { wasServed: true })

      expect(() => idsOf(names))
        .to.throw('which no category of its model.json has')
        .with.property('code', 'LF_MODEL_CATEGORIES')
      expect(served.categories).to.deep.equal(categories)
      expect(served.warnings[0]).to.include('in the order of its model.json, as before')
    })
  }

  it('are named in a sentence of bounded length', () => {
    const names = Array.from({ length: 1000 }, (_, index) => `${index}`.repeat(100))

    expect(() => idsOf(names))
      .to.throw()
      .with.property('message')
      .with.length.below(1000)
  })
})
