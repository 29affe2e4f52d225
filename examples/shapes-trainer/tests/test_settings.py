import unittest

import shapes_trainer  # first: sets the number of BLAS threads
from shapes_trainer.settings import FULL_STEPS, SHORT_STEPS, SettingsError, settings_of


class SettingsTest(unittest.TestCase):
    def test_foreign_hyperparameters_leave_the_full_budget(self):
        self.assertEqual(settings_of({"resolution": 832, "flip_rl": True}).steps, FULL_STEPS)

    def test_texts_of_a_form_are_read(self):
        settings = settings_of({"short": "true", "seed": "7"})

        self.assertEqual((settings.steps, settings.seed), (SHORT_STEPS, 7))

    def test_a_wrong_value_is_named(self):
        for hyperparameters in ({"steps": 0}, {"steps": "many"}, {"seed": True}, {"short": "perhaps"}):
            with self.assertRaisesRegex(SettingsError, next(iter(hyperparameters))):
                settings_of(hyperparameters)

    def test_an_epoch_is_made_of_whole_passes_and_grows_with_the_test_set(self):
        settings = settings_of({})

        self.assertEqual(settings.epoch_steps(160, 80), 40)
        self.assertEqual(settings.epoch_steps(160, 400), 200)
        self.assertEqual(settings.epoch_steps(8000, 400), 1000)


if __name__ == "__main__":
    unittest.main()
