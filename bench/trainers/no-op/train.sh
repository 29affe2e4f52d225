# "Trains": writes two small files and reports them as the best model. A shell starts in a millisecond.
printf B >weightfile.weights
printf 'some more data' >some_more_data.txt
files='["weightfile.weights","some_more_data.txt"]'
printf '{"event":"model","epoch":1,"files":{"mocked":%s,"mocked_2":%s},"confusion_matrix":{}}\n' "$files" "$files" \
  >>"$LOOPFLEET_EVENTS"
