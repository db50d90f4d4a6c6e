"""Verto beside CTranslate2 and `generate`: the same weights, threads, precisions and sentences, in turn."""
