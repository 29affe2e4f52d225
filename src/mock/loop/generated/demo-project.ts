import { categorySchema } from '../../../loop/protocol/index.js'
import type { LoopContext } from '../context.js'
import { uuidOf } from '../generator/random.js'
import { newModel } from '../models/add-model.js'
import { addProject } from './add-project.js'
import { addTrainingOf, attachMockedFiles } from './trainings.js'

const MODELS = [
  { version: '1.0', id: '00000000-0000-0000-0000-000000000010' },
  { version: '1.1', id: '00000000-0000-0000-0000-000000000011' },
  { version: '1.2', id: '00000000-0000-0000-0000-000000000012' },
]
const TARGET = '00000000-0000-0000-0000-000000000011'

/** Makes the project `zauberzeug/demo` that the tests of the Python library expect, unless it is there. */
export async function addDemoProject(context: LoopContext): Promise<void> {
  if (context.store.find('zauberzeug', 'demo') !== undefined) return
  await addProject(context, 'zauberzeug', {
    project_name: 'demo',
    complete: 3,
    inbox: 1,
    box_categories: 2,
    point_categories: 1,
  })
  const project = context.store.project('zauberzeug', 'demo')
  const purple = { id: uuidOf('zauberzeug/demo/purple point'), name: 'purple point', type: 'point', point_size: 20 }
  project.record.categories.push(categorySchema.parse({ ...purple, color: '#911eb4' }))
  for (const { version, id } of MODELS) {
    project.record.models.push(newModel(version, project.record.created, 'model of the demo project', id))
    await attachMockedFiles(context, project, id)
  }
  addTrainingOf(project, '00000000-0000-0000-0000-000000000012', context)
  project.record.target = TARGET
  await project.save()
}
