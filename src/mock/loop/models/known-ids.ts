// Tests of the two generations of the Python library name model 1.2 of the demo project differently.
const OLDER_ID_OF_1_2 = '917d5c7f-403d-7e92-f95f-577f79c2273a'
const ID_OF_1_2 = '00000000-0000-0000-0000-000000000012'

/** The id under which a model is stored; one model of the demo project has two. */
export function storedModelId(projectName: string, id: string): string {
  return projectName === 'zauberzeug/demo' && id === OLDER_ID_OF_1_2 ? ID_OF_1_2 : id
}
