/** A good order of the current dialect, with some keys replaced; undefined leaves a key out. */
export function orderCurrent(change: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const good = { model_variant: 'small', base_model_uuid: null, hyperparameters: { resolution: 640 } }
  return { ...shared, ...good, ...change }
}

/** The same in dialect 0.8. */
export function order08(change: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return { ...shared, id: 'small', resolution: 640, flip_rl: false, flip_ud: true, ...change }
}

const category = { id: 'c1', name: 'cat', description: '', hotkey: '', color: '#f00', point_size: 20, type: 'box' }
const shared = { categories: [category], training_number: 7 }

export type BadField = { readonly change: Readonly<Record<string, unknown>>; readonly field: string }

/** Each required field missing or of each wrong type, each optional one of a wrong type. */
export const badFields: Readonly<Record<'current' | '0.8', readonly BadField[]>> = {
  current: [
    ...sharedBad(),
    ...wrong('model_variant', [undefined, null, 5, true, ['s'], {}]),
    ...wrong('base_model_uuid', [5, true, ['s'], {}]),
    ...wrong('hyperparameters', [undefined, null, 5, true, 'all', [1]]),
  ],
  '0.8': [
    ...sharedBad(),
    ...wrong('id', [undefined, null, '', 5, true, ['s'], {}]),
    ...wrong('resolution', [undefined, null, '640', 0, -1, 640.5, true, [640], {}]),
    ...wrong('flip_rl', ['yes', 1, [true], {}]),
    ...wrong('flip_ud', ['yes', 1, [true], {}]),
  ],
}

function sharedBad(): BadField[] {
  return [
    ...wrong('training_number', [undefined, null, '7', -1, 1.5, 1e300, true, [7], {}]),
    ...wrong('categories', [undefined, null, 5, true, 'all', {}]),
    ...[null, 5, 'cat', [category]].map((bad) => ({ change: { categories: [category, bad] }, field: 'categories[1]' })),
    ...inCategory('id', [undefined, null, 7, true, {}]),
    ...inCategory('name', [undefined, null, 7, true, {}]),
  ]
}

function wrong(field: string, values: readonly unknown[]): BadField[] {
  return values.map((value) => ({ change: { [field]: value }, field }))
}

function inCategory(key: string, values: readonly unknown[]): BadField[] {
  return values.map((value) => ({
    change: { categories: [{ ...category, [key]: value }] },
    field: `categories[0].${key}`,
  }))
}
