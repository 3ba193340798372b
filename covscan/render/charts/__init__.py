"""Charts as Altair describes them, for the page and for pictures; nothing here reads a report.

Every chart names its data and leaves it out, so that a page can put in what a reader has chosen, and a picture what a
report holds. The tables of its values are described where the chart is.
"""
