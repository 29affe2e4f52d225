import { isAbsolute, relative } from 'node:path'
import { expect } from 'chai'
import { workspacePaths } from '../../../src/workers/workspaces/workspace-paths.js'
import { anOrder } from '../../queue/orders.js'

describe('the paths of a training', () => {
  it('lie below organization, project and training in the data folder', () => {
    const paths = workspacePaths('/data', anOrder(), 'abc')

    expect(paths.workspace).to.equal('/data/zauberzeug/shapes/trainings/abc')
    expect(paths.log).to.equal('/data/zauberzeug/shapes/trainings/abc/last_training.log')
    for (const path of Object.values(paths)) {
      expect(isAbsolute(path)).to.equal(true)
      expect(relative(paths.workspace, path)).not.to.match(/^\.\./)
    }
  })

  it('are all different', () => {
    const paths = Object.values(workspacePaths('/data', anOrder(), 'abc'))

    expect(new Set(paths).size).to.equal(paths.length)
  })

  for (const name of ['..', '.', '', 'a/b', 'a\\b', 'nul\0', 'x'.repeat(300)]) {
    it(`refuse ${JSON.stringify(name.slice(0, 20))} as a name of anything`, () => {
      expect(() => workspacePaths('/data', anOrder({ organization: name }), 'abc')).to.throw()
      expect(() => workspacePaths('/data', anOrder({ project: name }), 'abc')).to.throw()
      expect(() => workspacePaths('/data', anOrder(), name)).to.throw()
    })
  }
})
