"""Searching the index as C-FIND (PS3.4 C.4.1) and QIDO-RS (PS3.18 10.6) do.

``attributes`` says what can be asked and answered at which level, ``question`` what a question
is, ``keys`` reads its matching texts, ``conditions`` says them in SQL, ``engine`` finds rows in a
stable order, ``answers`` makes values of rows. ``tokens`` and ``search_rows`` keep the table that
is searched, ``filling`` fills it where studies were here before it.
"""
