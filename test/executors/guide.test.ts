import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { parse, stringify } from 'yaml'
import { parseTrainerDefinition } from '../../src/executors/definition/definition.js'
import { projectRoot } from '../helpers/project-root.js'

type Keys = Record<string, unknown> & { readonly train?: Record<string, unknown> }

/** The YAML blocks of a page put together, as a reader does who follows it step by step. */
async function trainerOf(page: string): Promise<Keys> {
  const text = await readFile(join(projectRoot(), 'docs', page), 'utf8')
  const blocks = [...text.matchAll(/^```yaml\n(.*?)^```/gms)].map((match): Keys => parse(match[1] ?? ''))
  const train = Object.assign({}, ...blocks.map((block) => block.train))
  return { ...Object.assign({}, ...blocks), train }
}

describe('trainer files in the documentation', () => {
  it('of the guide to existing scripts are accepted when put together', async () => {
    const trainer = parseTrainerDefinition(stringify(await trainerOf('guides/existing-script.md')), 'guide.yaml')

    expect(trainer.train.resume_when).to.equal('out/last.pt')
    expect(trainer.hyperparameters).to.have.keys(['epochs', 'fast'])
  })

  it('of the trainer contract are accepted when put together', async () => {
    const { upload, ...rest } = await trainerOf('reference/trainer-contract.md')

    const text = stringify({ ...rest, upload: { ...Object(upload), mine_weights: ['model.pt'] } })

    expect(parseTrainerDefinition(text, 'contract.yaml').hyperparameter_file?.file).to.equal('hyp.yaml')
  })
})
